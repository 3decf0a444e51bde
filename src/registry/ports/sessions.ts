import type { Digest } from '../../oci/digest.ts'

/** What one request at a time holds of an upload; the next one finds what it was when that left. */
export interface Session {
  /** What was hashed up to `offset`; without `update` it cannot go on, because it was hashed elsewhere. */
  hashed?: { offset: number; digest(): Digest; update?(chunk: Uint8Array): void } | undefined
}

/** Who writes to which upload, in whatever process. */
export interface Sessions {
  /** Undefined while another request writes to the upload. */
  enter(id: string): Promise<Session | undefined>
  /** Resolves once others may enter. */
  leave(id: string, session: Session): Promise<void>
}
