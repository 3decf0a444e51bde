import type { Digest, Digester } from '../../oci/digest.ts'

/** What was hashed of an upload up to `offset`: by a digester that can go on, or what the digest was there. */
export interface Hashed {
  offset: number
  by: Digester | Digest
}

/** Of an upload session one request at a time holds this; what `hashed` is when it leaves the next one finds. */
export interface Session {
  hashed?: Hashed | undefined
}

/** Who writes to which upload, in whatever process. */
export interface Sessions {
  /** Undefined while another request writes to the upload. */
  enter(id: string): Promise<Session | undefined>
  /** Resolves once others may enter. */
  leave(id: string, session: Session): Promise<void>
}
