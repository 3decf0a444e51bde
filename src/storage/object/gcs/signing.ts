import { createHash, createSign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { encodePath, encodeQuery } from '../address.ts'
import { StoreError } from '../store.ts'

/** A service account's key as Google gives it out. */
export interface ServiceAccount {
  client_email: string
  private_key: string
}

export type GcsCredentials =
  | { kind: 'file'; path: string }
  | { kind: 'key'; key: ServiceAccount }
  /** What Google's library finds: GOOGLE_APPLICATION_CREDENTIALS, workload identity, the machine's account. */
  | { kind: 'default' }
  /** For servers that ask nobody. */
  | { kind: 'none' }

const scopes = 'https://www.googleapis.com/auth/devstorage.read_write'
/** How long a signed URL holds, in seconds; as with registry:2. */
const expiresIn = 1200

/** Gives the `Authorization` of requests by Google's own library, which is loaded with the first of them and keeps tokens. */
export function createTokens(credentials: GcsCredentials): () => Promise<string | undefined> {
  let loading: ReturnType<typeof load> | undefined
  async function load(): Promise<() => Promise<string | null | undefined>> {
    const { GoogleAuth, JWT } = await import('google-auth-library')
    const key = await keyOf(credentials)
    if (!key) {
      const auth = new GoogleAuth({ scopes })
      return () => auth.getAccessToken()
    }
    const client = new JWT({ email: key.client_email, key: key.private_key, scopes })
    return async () => (await client.getAccessToken()).token
  }
  return async () => {
    if (credentials.kind === 'none') return undefined
    try {
      const token = await (await (loading ??= load()))()
      if (token) return `Bearer ${token}`
    } catch (cause) {
      loading = undefined
      throw new StoreError(`cannot get a token: ${(cause as Error).message}`, {
        status: 401,
        reason: 'no token',
        cause,
      })
    }
    throw new StoreError('cannot get a token: none was given', { status: 401, reason: 'no token' })
  }
}

/** The key of a service account, where that is what there is; URLs are signed with it as well. */
export async function keyOf(credentials: GcsCredentials): Promise<ServiceAccount | undefined> {
  if (credentials.kind === 'key') return credentials.key
  if (credentials.kind !== 'file') return undefined
  const { client_email, private_key } = JSON.parse(await readFile(credentials.path, 'utf8')) as Partial<ServiceAccount>
  if (client_email && private_key) return { client_email, private_key }
  throw new Error(`${credentials.path} holds no client_email and private_key of a service account`)
}

interface Resource {
  host: string
  bucket: string
  name: string
  now: Date
}

/** The path and query of a URL by which whoever has it may read one object for a while (Google's V4 signing process). */
export function signedPath(key: ServiceAccount, { host, bucket, name, now }: Resource): string {
  const moment = now.toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = `${moment.slice(0, 8)}/auto/storage/goog4_request`
  const path = `/${bucket}/${encodePath(name)}`
  const query = {
    'X-Goog-Algorithm': 'GOOG4-RSA-SHA256',
    'X-Goog-Credential': `${key.client_email}/${scope}`,
    'X-Goog-Date': moment,
    'X-Goog-Expires': String(expiresIn),
    'X-Goog-SignedHeaders': 'host',
  }
  const asked = ['GET', path, encodeQuery(query).slice(1), `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')
  const text = ['GOOG4-RSA-SHA256', moment, scope, createHash('sha256').update(asked).digest('hex')].join('\n')
  const signature = createSign('RSA-SHA256').update(text).sign(key.private_key, 'hex')
  return path + encodeQuery({ ...query, 'X-Goog-Signature': signature })
}
