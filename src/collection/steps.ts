import type { Bytes, CollectionFacts, Doubt, Loose, Unread } from '../metadata/collection-facts.ts'
import { algorithmOf, digestOf } from '../oci/digest.ts'
import type { Log } from '../platform/log.ts'
import { blobPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { readDocument } from '../volume/document.ts'
import type { Limits } from './limits.ts'

export interface RunDeps {
  facts: CollectionFacts
  storage: StorageDriver
  log: Log
  /** Whether the tree of links follows: then files of manifests are part of it. */
  follow: boolean
  /** Lets others work after each step; throws when the run shall end. */
  breathe(): Promise<void>
}

/** What a run has done. */
export interface Done {
  /** Manifests that nothing keeps: they went into the trash. */
  untagged: number
  /** Manifests of the trash that ended. */
  manifests: number
  /** How many of them ended before their time, because the disk is nearly full. */
  early: number
  /** Blobs that were taken out of a repository. */
  unlinked: number
  /** Blobs that no repository holds any more, and their bytes. */
  blobs: number
  bytes: number
  /** Files nobody knows, where it was looked for them. */
  strays: number
  /** Files that were deleted. */
  files: number
  /** Repositories that could not be judged now. */
  waiting: string[]
}

/** Commands of so many changes take the writer a few milliseconds. */
const portion = 100
const width = 8

/** The steps of a collection, each of which may be the last: the next run goes on. */
export function createSteps({ facts, storage, log, follow, breathe }: RunDeps, done: Done) {
  /** Finds out what manifests refer to that came with a volume, or from an older version. */
  async function readManifests(): Promise<void> {
    for (let last: Unread | undefined; ;) {
      const found = await facts.unread(20, last)
      const read = found.flatMap(({ id, repository, digest, content }) => {
        if (digestOf(content, algorithmOf(digest)) === digest)
          return [{ id, references: readDocument(content)?.references.map((one) => one.digest) ?? [] }]
        log.error('gc.manifest-damaged', { repository, digest, message: 'nothing is collected in its repository' })
        return []
      })
      if (read.length > 0) await facts.refer(read)
      if (found.length < 20) return
      last = found.at(-1)
      await breathe()
    }
  }

  async function beginDoubts(): Promise<void> {
    while ((await facts.beginDoubts(5 * portion)) > 0) await breathe()
  }

  /** Moves manifests into the trash that neither a tag nor an index, a subject or a recent pull keeps. */
  async function trashLoose({ doubted, pulled }: Limits): Promise<void> {
    // Its grace was that of its children as well: only it kept them.
    const limits = { before: doubted, doubtedAt: doubted, pulledSince: pulled }
    for (let last: Loose | undefined; ;) {
      const found = await facts.loose(doubted, portion, last)
      let trashed = 0
      for (const [repository, own] of Map.groupBy(found, (one) => one.repository)) {
        const digests = own.map(({ digest }) => digest)
        trashed += (await facts.judgeManifests(repository, digests, limits)).trashed
      }
      done.untagged += trashed
      if (found.length < portion) return
      last = found.at(-1)
      await breathe()
    }
  }

  /** Ends what was in the trash for long enough. */
  async function emptyTrash(limits: Limits): Promise<void> {
    while (await endOldest(limits)) await breathe()
  }

  /** Ends the oldest of what was in the trash for long enough; false when that was all. */
  async function endOldest({ trashed, ended }: Limits, most = portion): Promise<boolean> {
    const found = await facts.expired(trashed, most)
    let count = 0
    for (const [repository, own] of Map.groupBy(found, (one) => one.repository))
      count += await facts.end(
        repository,
        own.map(({ digest }) => digest),
        { before: trashed, doubtedAt: ended },
      )
    done.manifests += count
    return found.length === most && count > 0
  }

  /** Takes blobs out of repositories where nothing refers to them. */
  async function judge({ doubted, uploads }: Limits): Promise<void> {
    const waiting = new Set<string>()
    for (let last: Doubt | undefined; ;) {
      const found = await facts.doubts(doubted, portion, last)
      for (const [repository, own] of Map.groupBy(found, (one) => one.repository)) {
        if (waiting.has(repository)) continue
        const limits = { before: doubted, ...(uploads !== undefined && { uploadsSince: uploads }) }
        const verdict = await facts.judge(
          repository,
          own.map(({ digest }) => digest),
          limits,
        )
        if (verdict.waits) waiting.add(repository)
        done.unlinked += verdict.unlinked
        count(verdict.condemned)
      }
      if (found.length < portion) break
      last = found.at(-1)
      await breathe()
    }
    done.waiting = [...waiting]
  }

  /** Condemns blobs that clients, or another registry, took out of their last repository. */
  async function condemn({ doubted }: Limits): Promise<void> {
    for (;;) {
      const found = await facts.unlinked(doubted, portion)
      if (found.length > 0) count(await facts.condemn(digestsOf(found), doubted))
      if (found.length < portion) return
      await breathe()
    }
  }

  /** Deletes the files of what is condemned. */
  async function deleteFiles({ condemned, deleted }: Limits): Promise<void> {
    for (;;) {
      const found = await facts.condemned(condemned, portion)
      if (found.length === 0) break
      const going = await facts.beginDeleting(digestsOf(found), condemned)
      const left = [...going]
      const work = async () => {
        for (let one = left.pop(); one; one = left.pop()) await storage.delete(blobPath(one.digest))
      }
      await Promise.all(Array.from({ length: width }, work))
      const back = going.length > 0 ? await facts.finishDeleting(digestsOf(going)) : []
      // Pushed again while its file went: the tree gets it again.
      if (follow)
        for (const { digest, content, pushedAt } of back)
          await storage.put(blobPath(digest), content, new Date(pushedAt))
      done.files += going.length
      await breathe()
    }
    await facts.forgetDeleted(deleted)
  }

  function count(blobs: Bytes[]): void {
    done.blobs += blobs.length
    done.bytes += blobs.reduce((sum, { size }) => sum + size, 0)
  }

  return { readManifests, beginDoubts, trashLoose, emptyTrash, endOldest, judge, condemn, deleteFiles }
}

const digestsOf = (all: Bytes[]) => all.map(({ digest }) => digest)
