import type { Digest } from '../oci/digest.ts'

/** Content of a repository whose row is gone, by its number, and some of what it held. */
export interface Nameless {
  id: number
  manifests: Digest[]
  layers: Digest[]
}

/** A manifest as its row has it, with what is noted of it elsewhere. */
export interface ManifestRow {
  id: number
  repository: string
  digest: Digest
  content: Uint8Array
  pushedAt: number
  isTrashed: boolean
  /** What it is noted to refer to; undefined where it has yet to be looked at. */
  references: Digest[] | undefined
  /** Whether it has no subject, or is listed under it. */
  isListed: boolean
}

/** Rows that contradict each other: no command leaves such, but damage and statements of others do. */
export interface RowFacts {
  nameless(): Promise<Nameless[]>
  /** Whether there is a row for the repository, with content or without. */
  isKnown(repository: string): Promise<boolean>
  /** Gives content of a repository its name. */
  name(id: number, repository: string): Promise<void>
  /** Blobs that repositories hold and that have no row, in byte order. */
  unknownBlobs(last: string, limit: number): Promise<Digest[]>
  /** Gives a blob a row; without a size it is taken out of all repositories. */
  knowBlob(digest: Digest, found?: { size: number; storedAt: number }): Promise<void>
  /** How many manifests are gone that something is noted of. */
  countStrayReferences(): Promise<number>
  forgetStrayReferences(): Promise<void>
  /** Manifests of known repositories, those in the trash too, after the one with this number. */
  manifests(after: number, limit: number): Promise<ManifestRow[]>
  /** Has the manifest looked at again for what it refers to. */
  readAgain(id: number): Promise<void>
  /** Which of these digests name no blob, no manifest and nothing on its way out. */
  strangers(digests: Digest[]): Promise<Digest[]>
  /** Tags that point to no manifest of the database. */
  strayTags(): Promise<{ repository: string; name: string }[]>
}
