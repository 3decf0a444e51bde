import type { Endpoint } from '../transport.ts'
import { StoreError } from '../store.ts'
import type { S3Address } from './address.ts'

const unknownKey = 'the store does not know the access key: check storage.s3.accesskey'
const advice: Record<string, string> = {
  InvalidAccessKeyId: unknownKey,
  XAdminUserNotFound: unknownKey,
  CredentialsProviderError:
    'no credentials found: set storage.s3.accesskey and secretkey, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role',
  SignatureDoesNotMatch:
    'the store does not take the signature: check storage.s3.secretkey, and the region where the store looks at it',
  AccessDenied: 'the credentials may not list the bucket: give them the permissions that docs/storage.md names',
  InvalidBucketName: 'no bucket can have this name: check storage.s3.bucket',
  NoSuchBucket: 'there is no such bucket: make it, or check storage.s3.bucket',
  PermanentRedirect: 'the bucket is in another region: check storage.s3.region',
  AuthorizationHeaderMalformed: 'the bucket is in another region: check storage.s3.region',
  IllegalLocationConstraintException: 'the bucket is in another region: check storage.s3.region',
  InvalidRegion: 'the store does not know the region: check storage.s3.region',
  RequestTimeTooSkewed: "this machine's clock is wrong: set it, by NTP for instance",
  ExpiredToken: 'the credentials have expired: renew them',
  InvalidToken: 'the session token does not go with the credentials: renew them',
}

/** Why a bucket cannot be used, in one line that says what to do. */
export function explain(error: unknown, { bucket, region }: S3Address, { protocol, hostname, port }: Endpoint): Error {
  const reason = error instanceof StoreError ? error.reason : ''
  const said = error instanceof Error ? error.message : String(error)
  const wherefrom = `bucket ${bucket} (region ${region}) at ${protocol}//${hostname}:${port}`
  const why = advice[reason] ?? 'check storage.s3.regionendpoint, the network and the store'
  return new Error(`Cannot use ${wherefrom}: ${why} (${said.replaceAll('\n', ' ')})`, { cause: error })
}
