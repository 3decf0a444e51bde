import type { Digest } from '../../oci/digest.ts'

/** Who did it and by which request, as far as is known when it happens. */
export interface Actor {
  name: string
  address: string
  method?: string | undefined
  host?: string | undefined
  /** The client's program, as it calls itself. */
  agent?: string | undefined
}

/** What happened, and in which repository. Pulls are recorded only where somebody asks for them: see `onPull`. */
export type Happening = { repository: string } & (
  | { type: 'blob.pushed' | 'blob.pulled'; digest: Digest; size: number }
  | { type: 'blob.mounted'; digest: Digest; from: string }
  | { type: 'blob.deleted'; digest: Digest }
  | { type: 'manifest.pushed'; digest: Digest; mediaType: string; size: number; tags: string[] }
  | { type: 'manifest.deleted'; digest: Digest; tags: string[] }
  | { type: 'tag.deleted'; tag: string }
  /** What an operator must know, such as quota.near. */
  | { type: 'alert'; what: string; detail: object }
  | { type: 'manifest.pulled'; digest: Digest; mediaType: string; size: number; tag: string | undefined }
)

/** A fact recorded in the transaction that made it true: a new event is one line above. */
export type RegistryEvent = Happening & { at: string; actor: Actor }
