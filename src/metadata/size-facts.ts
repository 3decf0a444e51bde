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
  /** All blobs there are, and all manifests, each once. */
  all(): Promise<{ blobs: number; manifests: number }>
}
