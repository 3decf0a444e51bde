import type { Digest } from '../oci/digest.ts'
import type { Page, StoredManifest } from '../registry/ports/metadata.ts'

/** `taken over`: another registry made it. */
export type MoveReason = 'pushed' | 'deleted' | 'image deleted' | 'restored' | 'taken over' | 'expired' | 'retention'

/** A move of a tag; without a digest it was taken away. */
export interface TagMove {
  digest: Digest | undefined
  at: Date
  by: string
  why: MoveReason
}

/** At most `limit` moves, those before a moment. */
export interface MovePage {
  limit: number
  before?: Date | undefined
}

/** At most `limit` moves of all tags, those before one. */
export interface JournalPage {
  limit: number
  before?: { at: Date; tag: string } | undefined
}

/** A deleted manifest that can be restored. */
export interface Trashed {
  digest: Digest
  mediaType: string
  size: number
  /** When it was deleted, by whom and why, and the tags that went along. */
  at: Date
  by: string
  why: string
  tags: string[]
}

/** What is kept of the past: every move of every tag, and for a while what was deleted. */
export interface HistoryFacts {
  /** Every move of the tag, the newest first. */
  moves(repository: string, tag: string, page: MovePage): Promise<TagMove[]>
  /** Every move of every tag of the repository, the newest first. */
  journal(repository: string, page: JournalPage): Promise<(TagMove & { tag: string })[]>
  /** The tags as they stood at the moment. */
  tagsAsOf(repository: string, moment: Date, page: Page): Promise<{ name: string; digest: Digest }[]>
  /** What was deleted of the repository and is still held, in order of digest. */
  trash(repository: string, page: Page): Promise<Trashed[]>
  /** A manifest in the trash; to push it again takes it out. */
  trashed(repository: string, digest: Digest): Promise<StoredManifest | undefined>
}
