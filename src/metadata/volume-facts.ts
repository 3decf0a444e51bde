import type { Digest } from '../oci/digest.ts'

/** Who took away what vanished from the volume while Holdfast did not run. */
export const registry2 = { name: 'registry:2', address: '' }

/** What the database knows of a repository. Moments are milliseconds. */
export interface RepositoryFacts {
  layers: Set<Digest>
  /** When each manifest was pushed, and whether it lists others. */
  manifests: Map<Digest, { pushedAt: number; mediaType: string }>
  tags: Map<string, { digest: Digest; movedAt: number }>
}

/** What was found in a repository's tree of links and the database shall know. Moments are milliseconds. */
export interface Found {
  blobs: { digest: Digest; size: number; storedAt: number }[]
  manifests: FoundManifest[]
  tags: { name: string; digest: Digest; movedAt: number; history: TagMove[] }[]
}

export interface FoundManifest {
  digest: Digest
  mediaType: string
  content: Uint8Array
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  pushedAt: number
}

export interface TagMove {
  digest: Digest
  /** When the tag last began to point there. */
  at: number
}

/** What keeping database and tree alike asks of a store beside the heart's port. */
export interface VolumeFacts {
  /** Repositories that hold anything, in byte order, read as they are asked for. */
  repositories(): AsyncGenerator<string>
  of(repository: string): Promise<RepositoryFacts>
  /** Which of these blobs a manifest of the repository refers to, in the trash too; all while some have yet to be looked at. */
  needed(repository: string, digests: Digest[]): Promise<Set<Digest>>
  /**
   * Knows from now on what was found: inserts what is absent and moves tags, without events. With `since` nothing is taken in, and
   * it gives false, when an event after that one happened in the repository.
   */
  takeIn(repository: string, found: Found, since?: number): Promise<boolean>
  /**
   * Forgets a blob whose bytes are gone, in every repository, with the events of its deletion; not if an event after `since`
   * names it.
   */
  dropBlob(digest: Digest, since: number): Promise<boolean>
  /** A name of the database that no other has; a copy keeps it. */
  identity(): Promise<string>
  /** Corrects the size of a blob. */
  resizeBlob(digest: Digest, size: number): Promise<void>
  /** Sequence number of the last event there was; 0 before the first. */
  lastEvent(): Promise<number>
  /** Sequence number of the last event kept that happened before the moment; 0 when there is none. */
  lastEventBefore(moment: Date): Promise<number>
}
