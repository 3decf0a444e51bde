import type { Digest } from '../oci/digest.ts'

/** A blob that a repository holds, and since when it is not known whether anything there refers to it (milliseconds). */
export interface Doubt {
  repository: string
  repositoryId: number
  digest: Digest
  doubtedAt: number
}

/** A manifest whose bytes say what it refers to, which is not yet noted. */
export interface Unread {
  id: number
  repositoryId: number
  repository: string
  digest: Digest
  content: Uint8Array
}

/** A manifest of which it is not known whether anything keeps it. */
export interface Loose {
  id: number
  repository: string
  digest: Digest
  doubtedAt: number
}

/** A manifest in the trash. */
export interface Expired {
  repository: string
  digest: Digest
  trashedAt: number
}

export interface Bytes {
  digest: Digest
  size: number
}

/** How much there is. */
export interface Amount {
  count: number
  bytes: number
}

/** How much stays for now, and since when the oldest of it does (milliseconds). */
export interface Kept {
  count: number
  since: number
}

/** What came of judging the doubts of one repository; `waits`: it cannot be judged yet. */
export interface Verdict {
  waits: boolean
  unlinked: number
  /** Blobs that no repository holds any more. */
  condemned: Bytes[]
}

/**
 * What the collector asks of a store. Moments are milliseconds; each method that writes is one short transaction that looks
 * again at what an earlier read has found.
 */
export interface CollectionFacts {
  /** Manifests that do not say yet what they refer to. */
  unread(limit: number, last?: Unread): Promise<Unread[]>
  /** Notes what manifests refer to. */
  refer(read: { id: number; references: Digest[] }[]): Promise<void>
  /** Begins the grace of what nobody has looked at yet; gives how many. */
  beginDoubts(limit: number): Promise<number>
  /** Doubts from before the moment, the oldest first, after the last one of the page before. */
  doubts(before: number, limit: number, last?: Doubt): Promise<Doubt[]>
  /**
   * Takes blobs out of a repository where no manifest, also of the trash, refers to them, and settles the doubt about others. A
   * repository waits while one of its manifests is unread, or an upload to it began after `uploadsSince`.
   */
  judge(repository: string, digests: Digest[], limits: { before: number; uploadsSince?: number }): Promise<Verdict>
  /** Manifests whose doubt is from before the moment, of which something may say that they stay; the oldest first. */
  loose(before: number, limit: number, last?: Loose): Promise<Loose[]>
  /**
   * Moves those of them into the trash that have no tag, are no child of an index, refer to no subject, and were not pulled since
   * `pulledSince`; settles the doubt about others. Waits as `judge` does for unread manifests.
   */
  judgeManifests(
    repository: string,
    digests: Digest[],
    limits: { before: number; doubtedAt: number; pulledSince: number },
  ): Promise<{ waits: boolean; trashed: number }>
  /** Notes when manifests were pulled, to the hour. */
  countPulls(pulls: { repository: string; digest: Digest }[]): Promise<void>
  /** How many manifests nothing keeps; no more than the limit are looked at. */
  countLoose(limits: { before: number; pulledSince: number; limit: number }): Promise<number>
  /**
   * What nothing needs and stays for now: untagged manifests that were pulled, manifests that came into the trash, and blobs whose doubt
   * began, each after its moment.
   */
  kept(since: { pulled: number; trash: number; grace: number }): Promise<Record<'pulled' | 'trash' | 'grace', Kept>>
  /** How many manifests there are, counted up to the limit. */
  countManifests(limit: number): Promise<number>
  /** Manifests that came into the trash before the moment, the oldest first. */
  expired(before: number, limit: number): Promise<Expired[]>
  /** Ends these manifests for good; what they referred to is in doubt since the moment. */
  end(repository: string, digests: Digest[], limits: { before: number; doubtedAt: number }): Promise<number>
  /** Blobs that lost a repository before the moment. */
  unlinked(before: number, limit: number): Promise<Bytes[]>
  /** Condemns those of them that no repository holds. */
  condemn(digests: Digest[], before: number): Promise<Bytes[]>
  /** Which of these digests are names of no blob, no manifest and nothing condemned. */
  unknown(digests: Digest[]): Promise<Digest[]>
  /** Condemns files that no blob and no manifest is known for. */
  condemnFiles(files: Bytes[]): Promise<Bytes[]>
  /** Bytes condemned before the moment. */
  condemned(before: number, limit: number): Promise<Bytes[]>
  /** Which of them may be deleted now: nobody can have them until `finishDeleting`. */
  beginDeleting(digests: Digest[], before: number): Promise<Bytes[]>
  /** Their bytes are gone; gives manifests that have come back meanwhile, whose files are to be written again. */
  finishDeleting(digests: Digest[]): Promise<{ digest: Digest; content: Uint8Array; pushedAt: number }[]>
  /** Deletions begun before the moment have ended without a word: they are to be done again. */
  resume(before: number): Promise<void>
  /** Forgets what was deleted before the moment. */
  forgetDeleted(before: number): Promise<void>
  /** Keeps bytes that are about to be written from being deleted; false while that is going on. */
  rescue(digest: Digest): Promise<boolean>
  /** What would be taken out of repositories by judging all doubts from before the moment; of its bytes those that no repository holds then. */
  garbage(before: number): Promise<Amount>
  /** What is condemned, or will be: bytes that are still there. */
  doomed(): Promise<Amount>
  /** What the trash holds from before the moment: manifests, and what only they refer to in all repositories. */
  trash(before: number): Promise<Amount>
  /** All blobs there are, or as many as the limit. */
  stored(limit: number): Promise<Amount>
}
