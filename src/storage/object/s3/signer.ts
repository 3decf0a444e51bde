import { createHash, createHmac } from 'node:crypto'
import { StoreError } from '../store.ts'
import type { Endpoint } from '../address.ts'

export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

interface SignerOptions {
  region: string
  /** Undefined: from the environment, the shared files, a web identity, the container or the instance, in this order. */
  credentials: Credentials | undefined
}

export interface Signable {
  endpoint: Endpoint
  method: string
  /** Percent-encoded. */
  path: string
  query: Record<string, string>
  headers: Record<string, string>
}

/** How long a signed URL holds, in seconds; as with registry:2. */
const expiresIn = 1200

/** Signs requests by AWS's own library, which is loaded with the first of them; so is the one that finds credentials. */
export function createSigner({ region, credentials }: SignerOptions) {
  let loading: ReturnType<typeof load> | undefined
  async function load() {
    const { SignatureV4 } = await import('@smithy/signature-v4')
    const found = credentials ?? (await import('@aws-sdk/credential-provider-node')).defaultProvider()
    const options = { service: 's3', region, uriEscapePath: false, applyChecksum: false }
    return new SignatureV4({ ...options, credentials: found, sha256: Sha256 })
  }
  const signer = () => (loading ??= load())

  return {
    /** The headers with the signature among them. */
    async sign({ endpoint, ...request }: Signable): Promise<Record<string, string>> {
      const signed = (await signer()).sign(toMessage(endpoint, request))
      return (await signed.catch(refuse)).headers
    },
    /** The query with the signature in it: whoever has the URL may read for a while. */
    async presign({ endpoint, ...request }: Signable): Promise<Record<string, string>> {
      const signed = (await signer()).presign(toMessage(endpoint, request), { expiresIn })
      return ((await signed.catch(refuse)).query ?? {}) as Record<string, string>
    },
  }
}

function toMessage({ protocol, hostname, port }: Endpoint, request: Omit<Signable, 'endpoint'>) {
  return { ...request, protocol, hostname, port }
}

/** No credentials were found, or they cannot be renewed. */
function refuse(cause: Error): never {
  throw new StoreError(`cannot sign a request: ${cause.message}`, { status: 401, reason: cause.name, cause })
}

/** What the library asks of a hash. */
class Sha256 {
  #hash
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as string)
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(data as string)
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
  reset(): void {}
}
