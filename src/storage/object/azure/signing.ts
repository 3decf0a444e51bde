import { createHmac } from 'node:crypto'
import { StoreError } from '../store.ts'

export type AzureCredentials =
  | { kind: 'key'; key: string }
  /** A shared access signature: a query that goes with every request. */
  | { kind: 'sas'; query: string }
  | { kind: 'client'; tenantId: string; clientId: string; secret: string }
  /** What Azure's library finds: environment, workload identity, managed identity, command line. */
  | { kind: 'default' }

interface Signable {
  account: string
  method: string
  /** Percent-encoded. */
  path: string
  query: Record<string, string>
  headers: Record<string, string>
}

const signed = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date']
const conditions = ['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range']
/** How long a signed URL holds; as with registry:2. */
const holdsMs = 20 * 60_000
/** So long before its end a token is asked for anew. */
const renewMs = 5 * 60_000
const sasVersion = '2021-12-02'

/** The `Authorization` of a request by the account's key (Azure Storage, "Authorize with Shared Key"). */
export function sharedKey(key: string, { account, method, path, query, headers }: Signable): string {
  const standard = [...signed, ...conditions].map((name) =>
    name === 'content-length' && headers[name] === '0' ? '' : (headers[name] ?? ''),
  )
  const own = Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .toSorted()
    .map((name) => `${name}:${headers[name]}`)
  const resource = Object.keys(query)
    .toSorted()
    .map((name) => `${name}:${query[name]}`)
  const text = [method, ...standard, ...own, [`/${account}${path}`, ...resource].join('\n')].join('\n')
  return `SharedKey ${account}:${hmac(key, text)}`
}

/** The query of a URL by which whoever has it may read one blob for a while ("Create a service SAS"). */
export function readSignature(key: string, resource: string, now: Date): Record<string, string> {
  const [sp, sr, sv] = ['r', 'b', sasVersion]
  const se = new Date(now.getTime() + holdsMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const text = [sp, '', se, resource, '', '', '', sv, sr, '', '', '', '', '', '', ''].join('\n')
  return { sv, sr, sp, se, sig: hmac(key, text) }
}

function hmac(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64')
}

/** Gives tokens by Azure's own library, which is loaded with the first of them; each is kept until it is about to end. */
export function createTokens(
  credentials: Extract<AzureCredentials, { kind: 'client' | 'default' }>,
  clock: { now(): Date },
): () => Promise<string> {
  let kept: { token: string; expiresOnTimestamp: number } | undefined
  let asking: Promise<string> | undefined
  async function ask(): Promise<string> {
    const { ClientSecretCredential, DefaultAzureCredential } = await import('@azure/identity')
    const { tenantId, clientId, secret } = { tenantId: '', clientId: '', secret: '', ...credentials }
    const credential =
      credentials.kind === 'default'
        ? new DefaultAzureCredential()
        : new ClientSecretCredential(tenantId, clientId, secret)
    try {
      kept = await credential.getToken('https://storage.azure.com/.default')
      return kept.token
    } catch (cause) {
      const { message, name } = cause as Error
      throw new StoreError(`cannot get a token: ${message}`, { status: 401, reason: name, cause })
    }
  }
  return async () => {
    if (kept && kept.expiresOnTimestamp - clock.now().getTime() > renewMs) return kept.token
    return (asking ??= ask().finally(() => (asking = undefined)))
  }
}
