import type { Digest } from '../../oci/digest.ts'

/** Who did it, as far as is known when it happens. */
export interface Actor {
  name: string
  address: string
}

/** What happened, and in which repository. */
export type Happening = { repository: string } & (
  | { type: 'blob.pushed'; digest: Digest; size: number }
  | { type: 'blob.mounted'; digest: Digest; from: string }
  | { type: 'blob.deleted'; digest: Digest }
  | { type: 'manifest.pushed'; digest: Digest; mediaType: string; size: number; tags: string[] }
  | { type: 'manifest.deleted'; digest: Digest; tags: string[] }
  | { type: 'tag.deleted'; tag: string }
)

/** A fact recorded in the transaction that made it true: a new event is one line above. */
export type RegistryEvent = Happening & { at: string; actor: Actor }
