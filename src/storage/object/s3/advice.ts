const unknownKey = 'the store does not know the access key: check storage.s3.accesskey'
const otherRegion = 'the bucket is in another region: check storage.s3.region'

/** What to do about what S3 says. */
export const advice: Record<string, string> = {
  InvalidAccessKeyId: unknownKey,
  XAdminUserNotFound: unknownKey, // versitygw's
  CredentialsProviderError:
    'no credentials found: set storage.s3.accesskey and secretkey, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role',
  SignatureDoesNotMatch:
    'the store does not take the signature: check storage.s3.secretkey, and the region where the store looks at it',
  AccessDenied: 'the credentials may not list the bucket: give them the permissions that docs/storage.md names',
  InvalidBucketName: 'no bucket can have this name: check storage.s3.bucket',
  NoSuchBucket: 'there is no such bucket: make it, or check storage.s3.bucket',
  PermanentRedirect: otherRegion,
  AuthorizationHeaderMalformed: otherRegion,
  IllegalLocationConstraintException: otherRegion,
  InvalidRegion: 'the store does not know the region: check storage.s3.region',
  RequestTimeTooSkewed: "this machine's clock is wrong: set it, by NTP for instance",
  ExpiredToken: 'the credentials have expired: renew them',
  InvalidToken: 'the session token does not go with the credentials: renew them',
}
