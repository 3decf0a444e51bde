import type { Digest } from '../oci/digest.ts'

/** Bytes of an image, with all that it refers to in its repository, each blob once. */
export interface ImageSizes {
  /** What it takes here. */
  stored: number
  /** What only it holds, in the whole registry: what its deletion frees, once it has left the trash and its grace is over. */
  exclusive: number
}

/** Bytes that a repository holds, each blob once. */
export interface RepositorySizes {
  name: string
  stored: number
  /** What no repository of its organization that comes before it holds as well: the sum of these is what the organization holds. */
  first: number
  /** What no other repository holds. */
  exclusive: number
}

/** How much there is of what. Manifests that are in the trash count until they leave it, and so does what they refer to. */
export interface SizeFacts {
  /** @returns undefined when the repository has no such manifest */
  image(repository: string, digest: Digest): Promise<ImageSizes | undefined>
  /** Repositories that hold anything, in order of name; of one organization, or one repository, where that is given. */
  repositories(within: string | undefined): Promise<string[]>
  /** Looks at each link of the repository. */
  repository(name: string): Promise<RepositorySizes>
  /** What the repository holds, and no more than that: for lists of many. */
  stored(repository: string): Promise<number>
  /** All blobs there are, and all manifests, each once. */
  all(): Promise<{ blobs: number; manifests: number }>
  /** What blobs of a repository take unpacked: bytes, `unreadable` or `tooLarge`, where they were measured. */
  unpacked(repository: string, digests: Digest[]): Promise<Map<Digest, number>>
  /** Images whose layers were not looked into yet. */
  unmeasured: {
    /** The next one after this id: of those somebody asked for, or of all that were pushed before a moment. */
    next(which: 'asked' | { pushedBefore: number; after: number }): Promise<Unmeasured | undefined>
    /** Has an image measured soon. */
    ask(repository: string, digest: Digest): Promise<void>
    note(digest: Digest, unpacked: number): Promise<void>
    /** The image needs no more looking into; undefined: it shall be looked at again when there is time. */
    end(id: number, found: { platform: string } | undefined): Promise<void>
  }
}

/** A manifest whose layers were not looked into yet. */
export interface Unmeasured {
  id: number
  repository: string
  digest: Digest
  content: Buffer
}

/** What is noted instead of bytes: it is not what its first bytes say, or more than anybody could use. */
export const unreadable = -1
export const tooLarge = -2
