import type { Digest } from '../oci/digest.ts'

/** Who says when a tag goes, where a label of its image does; no account can be called so. */
export const byLabel = '@label'

/** A tag as it stands. Moments are milliseconds. */
export interface TagState {
  digest: Digest
  movedAt: number
  /** When it goes by itself; undefined: never. */
  expiresAt: number | undefined
  /** Who said so: `byLabel`, or the name of somebody; undefined: nobody has said anything. */
  expiresBy: string | undefined
}

/** A tag whose time has come. */
export interface Due {
  repository: string
  repositoryId: number
  tag: string
  digest: Digest
  expiresAt: number
}

/** A manifest of a repository, with what a plan must know of it. */
export interface ImageFact {
  id: number
  digest: Digest
  mediaType: string
  subject: Digest | undefined
  size: number
  pushedAt: number
  /** Empty: it has none; undefined: nobody has looked yet. */
  platform: string | undefined
  /** Undefined: never. */
  pulledAt: number | undefined
}

export interface TagFact {
  name: string
  digest: Digest
  movedAt: number
}

/** A blob that a manifest refers to. */
export interface Weight {
  manifestId: number
  digest: Digest
  size: number
  /** How many manifests of the repository refer to it. */
  holders: number
  /** Whether another repository holds it as well. */
  isElsewhere: boolean
}

/** An image that is to go: these tags, and itself where no other tag, index or subject keeps it. */
export interface Retirement {
  digest: Digest
  tags: string[]
}

export interface Retired {
  /** The repository cannot be judged yet: what its manifests refer to is not known. */
  waits: boolean
  tags: string[]
  images: Digest[]
  /** Tags that a rule or a lock kept. */
  kept: string[]
}

/** What retention did in a repository, or would have done. */
export interface RetentionRun {
  sequence: number
  at: number
  repository: string
  state: 'simulated' | 'applied'
  plan: string
  actor: string
  tags: number
  images: number
  bytes: number
  /** JSON: some of what went, with the rules. */
  body: string
}

/** What rules for tags ask of a store. */
export interface RuleFacts {
  tag(repository: string, tag: string): Promise<TagState | undefined>
  /** Which of the tags nobody may delete, and why; all of the repository's locks count. */
  keptTags(repository: string, tags: string[]): Promise<Map<string, string>>
  /** Lets a tag go at a moment, or never; with `digest` only where it stands there and nobody but a label said anything before. */
  setExpiry(
    repository: string,
    tag: string,
    expiry: { at: number | undefined; by: string; digest?: Digest },
  ): Promise<boolean>
  /** Tags whose time came before the moment, in order, after the last one of the page before. */
  due(before: number, limit: number, last?: Due): Promise<Due[]>
  /** In the order of their digests. */
  images(repository: string, after: string, limit: number): Promise<ImageFact[]>
  tags(repository: string, after: string, limit: number): Promise<TagFact[]>
  /** To which manifests of the repository these refer. */
  children(repository: string, ids: number[]): Promise<{ parent: number; child: Digest }[]>
  weigh(repository: string, ids: number[]): Promise<Weight[]>
  /**
   * Takes tags away that still stand where they did, and moves images into the trash that nothing keeps any more, in one
   * transaction. With `dueBefore` only tags whose time has come by then.
   */
  retire(
    repository: string,
    retirements: Retirement[],
    reason: { why: 'expired' | 'retention'; by: string; dueBefore?: number },
  ): Promise<Retired>
  runs: {
    /** Notes a run; the newest 5,000 are kept. */
    record(run: Omit<RetentionRun, 'sequence'>): Promise<void>
    /** The newest first: of the repository, of those whose names begin so, or all. */
    list(
      where: { repository?: string; prefix?: string },
      page: { limit: number; before?: number | undefined },
    ): Promise<RetentionRun[]>
  }
}
