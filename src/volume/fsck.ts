import type { RowFacts } from '../metadata/row-facts.ts'
import type { VolumeFacts } from '../metadata/volume-facts.ts'
import type { Log } from '../platform/log.ts'
import type { Digest } from '../oci/digest.ts'
import { quarantineFolder } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { checkBlobFiles } from './blob-files.ts'
import type { Difference } from './compare.ts'
import { createDamageCheck, type Report } from './damage.ts'
import { createFollower, cursorName } from './follow.ts'
import { blobsPath, currentLink, layerLink, repositoriesPath, revisionLink } from './layout.ts'
import { lostBlobs } from './lost-blobs.ts'
import { createMend } from './mend.ts'
import { createReconciliation, type Mode } from './reconcile.ts'
import { checkRows, checkStrayTags } from './rows.ts'
import { assess, notFollowed, type State, whatIsGone } from './state.ts'
import { findStrays } from './strays.ts'
import { createTreeWriter } from './write.ts'

/** One thing that is wrong. */
export interface Finding {
  path: string
  problem: string
  /** How it is mended; undefined when it cannot be. */
  mend: string | undefined
  mended: boolean
}

/** A file that nothing serves: it was moved aside as damaged at some time, or nobody knows it. */
export interface Remarked {
  path: string
  remark: string
  /** Its bytes; 0 for a folder. */
  size: number
}

interface Deps {
  storage: StorageDriver
  store: MetadataStore & { volume: VolumeFacts; rows: RowFacts }
  log: Log
  bootedAt: Date
  repair: boolean
  /** Bytes of blobs, from a backup. */
  repairFrom?: Parameters<typeof createMend>[0]['repairFrom']
  onFinding(finding: Finding): void
  /** Told of each file that nothing serves and that is no damage. */
  onRemark?(file: Remarked): void
}

/**
 * Checks a volume nobody serves: every link, all it leads to, and whether the database says the same. With `repair` mends what
 * can be mended; else nothing is written.
 */
export async function fsck({ storage, store, log, repair, repairFrom, onFinding, ...deps }: Deps): Promise<void> {
  const facts = store.volume
  const writer = createTreeWriter(storage)
  const breathe = async () => {}
  const reported = new Set<string>()
  /** What only the tree knows. */
  const news = new Set<Digest>()
  let isWhole = true
  const cursor = await store.cursors.get(cursorName)
  /** It was taken over once and is not followed: it says nothing about the database, and lacks nothing. */
  const isOfThePast = cursor?.sequence === notFollowed
  const { mode, replayFrom, takenAway, isGone } = await stateOf()
  const isNew = cursor === undefined && (await facts.repositories().next()).done === true
  if (repair && replayFrom !== undefined) await replay(replayFrom)

  const onUnreadable = (path: string, error: unknown) => report(path, `cannot be read: ${String(error)}`)
  const { reconcile, compare, reader } = createReconciliation({
    storage,
    metadata: store,
    facts,
    writer,
    // The check of the links tells of the same.
    onUnreadable: () => {},
  })
  if ((await storage.list('repositories')).length > 0 && (await storage.list('images')).length > 0)
    await report('repositories', 'images of the first, Python registry: not served')
  const mend = repair ? createMend({ storage, repairFrom, log }) : undefined
  const checkRepository = createDamageCheck({ storage, reader, writer, metadata: store, mend, layersOf, report })
  await checkBlobFiles({ storage, metadata: store, report, remark, resize: facts.resizeBlob }) // first: links to what is moved aside lead nowhere
  // Links to what has its bytes again lead there.
  if (repair) await mendLost({ storage, store, log, repairFrom, report })
  const names = new Set<string>()
  for await (const name of reader.repositories((path, error) => void onUnreadable(path, error))) names.add(name)
  const nameless = await checkRows({ storage, facts, rows: store.rows, names, report })
  for (const name of isOfThePast
    ? []
    : [...new Set([...names, ...(await Array.fromAsync(facts.repositories()))])].toSorted()) {
    await checkRepository(name)
    if (repair || !nameless.has(name)) await agree(name)
  }
  await checkStrayTags(store.rows, (path) => reported.has(path), report)
  for await (const { digest, since } of lostBlobs(storage, store, breathe))
    await report(digest, 'a blob of the database whose bytes are gone', {
      how: howToDrop({ repair, repairFrom }),
      run: async () => void (await facts.dropBlob(digest, since)),
    })
  await remarks()
  // While the tree may lack something the next start shall not take that for deleted.
  if (repair && !isOfThePast)
    await store.cursors.set(cursorName, Math.max(0, (await facts.lastEvent()) - (isWhole ? 0 : 1)))

  async function remarks(): Promise<void> {
    for (const name of await storage.list(quarantineFolder)) {
      const path = `${quarantineFolder}/${name}`
      await remark(path, 'were moved aside as damaged; remove it when you like')
    }
    const isInTree = (digest: Digest) => news.has(digest)
    if (repair || !isNew) await findStrays({ storage, rows: store.rows, names, isInTree, remark })
  }

  async function layersOf(repository: string): Promise<Set<Digest>> {
    return (await facts.of(repository)).layers
  }

  async function stateOf(): Promise<State & { mode: Mode; isGone: boolean }> {
    const state = await assess({ metadata: store, facts, bootedAt: deps.bootedAt })
    const gone = await whatIsGone(storage, facts)
    if (!gone || (gone === 'tree' && isOfThePast)) return { ...state, mode: state.mode ?? 'both', isGone: false }
    if (gone === 'blobs' && repair)
      throw new Error(
        `Cannot repair: there is no blob in ${blobsPath}, but the database knows some; is the volume mounted?`,
      )
    await report(gone === 'blobs' ? blobsPath : repositoriesPath, 'is empty, the database has content', {
      how: 'write the tree anew from the database',
      run: async () => {},
    })
    return { mode: 'both', replayFrom: undefined, takenAway: () => false, isGone: true }
  }

  async function replay(from: number): Promise<void> {
    const follower = createFollower({ writer, lateWriter: createTreeWriter(storage, true), metadata: store, log })
    await follower.replay(from)
    if (!follower.isWhole()) isWhole = false
  }

  /** Brings tree and database of a repository into agreement, or tells how they differ. */
  async function agree(repository: string): Promise<void> {
    const whoWins = nameless.has(repository) ? 'both' : mode // the tree may never have heard of such a name
    const treeWins = (inTree: number, inDatabase: number) =>
      whoWins === 'tree' || (whoWins === 'both' && inTree > inDatabase)
    const how = { treeWins, pending: () => takenAway, breathe }
    if (!isNew && !isGone) await tell(repository, await compare(repository, { ...how, takeManifests: async () => {} }))
    if (repair && !(await reconcile(repository, { ...how, mode: whoWins, write: (work) => work() }))) isWhole = false
  }

  async function tell(repository: string, { found, lost, kept }: Difference): Promise<void> {
    const take = { how: mode === 'database' ? 'remove the link' : 'take it into the database', run: async () => {} }
    const give = { how: mode === 'tree' ? 'take it out of the database' : 'write the link', run: async () => {} }
    const unknown = [
      ...found.blobs.map(({ digest }) => layerLink(repository, digest)),
      ...found.manifests.map((digest) => revisionLink(repository, digest)),
      ...found.tags.map(({ name }) => currentLink(repository, name)),
    ]
    const missing = [
      ...lost.layers.map((digest) => layerLink(repository, digest)),
      ...lost.manifests.map((digest) => revisionLink(repository, digest)),
      ...lost.tags.map((name) => currentLink(repository, name)),
    ]
    for (const digest of [...found.blobs.map((blob) => blob.digest), ...found.manifests]) news.add(digest)
    const untold = (path: string) => !reported.has(path)
    const missingLinks = kept.map((digest) => layerLink(repository, digest))
    for (const path of missingLinks.filter(untold))
      await report(path, 'is not as the database has it', { ...give, how: 'write the link' })
    for (const path of unknown.filter(untold)) await report(path, 'is not what the database says', take)
    for (const path of missing.filter(untold)) await report(path, 'is not as the database has it', give)
  }

  async function remark(path: string, text: string): Promise<void> {
    deps.onRemark?.({ path, remark: text, size: (await storage.stat(path))?.size ?? 0 })
  }

  async function report(path: string, problem: string, mend?: Parameters<Report>[2]): Promise<void> {
    reported.add(path)
    if (repair) await mend?.run()
    onFinding({ path, problem, mend: mend?.how, mended: repair && mend !== undefined })
  }
}

/** What is done about a blob without bytes: those that a backup had have them again by then. */
function howToDrop({ repair, repairFrom }: Pick<Deps, 'repair' | 'repairFrom'>): string {
  const first = repair || !repairFrom ? '' : 'take its bytes from the backup, or if it has none '
  return `${first}take it out of the database`
}

/** Gives blobs their bytes back that a backup has. */
async function mendLost({
  storage,
  store,
  log,
  repairFrom,
  report,
}: Pick<Deps, 'storage' | 'store' | 'log' | 'repairFrom'> & { report: Report }): Promise<void> {
  if (!repairFrom) return
  const mend = createMend({ storage, repairFrom, log })
  const how = { how: 'take them from the backup', run: async () => {} }
  for await (const { digest } of lostBlobs(storage, store, async () => {}))
    if (await mend(digest)) await report(digest, 'a blob of the database whose bytes were gone, or damaged', how)
}
