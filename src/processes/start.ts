import type { Configuration } from '../config/configuration.ts'
import type { Digest } from '../oci/digest.ts'

/** What a process is told when it starts. */
export interface Start {
  configuration: Configuration
  /** The first, 0, does what is done once; with SQLite it writes. */
  index: number
  /** The name of this node; the same for all its processes, and for those that take the place of one. */
  node: string
  /** Where the first listens for the commands of the others; undefined where the database takes them from each. */
  writerPath: string | undefined
}

/** What is left of a session that nobody holds: the digest of its bytes up to `offset`, if it is known. */
export interface Left {
  offset: number
  digest: Digest | undefined
}
