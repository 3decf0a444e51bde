import type { VolumeFacts } from '../metadata/volume-facts.ts'
import type { Log } from '../platform/log.ts'
import { blobPath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { createFollower, cursorName, settleMs } from './follow.ts'
import { createGate, type Gate } from './gate.ts'
import { blobsPath, repositoriesPath } from './layout.ts'
import { lostBlobs } from './lost-blobs.ts'
import { createBreath } from './read.ts'
import { createReconciliation, type Mode } from './reconcile.ts'
import { assess, goneAdvice, notFollowed, type State, whatIsGone } from './state.ts'
import { createTreeWriter } from './write.ts'

/** What a volume needs, however many nodes serve it. */
export interface VolumeDeps {
  storage: StorageDriver
  store: MetadataStore & { volume: VolumeFacts }
  log: Log
  clock: { now(): Date }
  /** Whether the tree follows what happens. */
  follow: boolean
  /** Whether the storage is an object store. */
  isRemote?: boolean | undefined
}

interface Deps extends VolumeDeps {
  /** When the machine started. */
  bootedAt: Date
}

/** What keeps database and tree alike. */
export interface Volume {
  /** The store as the registry may use it: it answers about a repository once that was reconciled. */
  metadata: MetadataStore
  /** What `metadata` asks before it answers. */
  gate: Gate
  /** Events were recorded. */
  notice(): void
  /** Begins to reconcile and to follow in the background. */
  begin(): Promise<void>
  /** Ends that, and notes how far the tree follows. */
  end(): Promise<void>
  /** Resolves when everything was reconciled, with whether all could be. */
  passed(): Promise<boolean>
}

const cursorMs = 30_000
const progressMs = 10_000

/**
 * Keeps registry:2's tree of links and the database alike, so that a volume is taken over in place and can be given back: at
 * the start what another registry left is taken into the database, while it runs the tree follows every event.
 */
export function createVolume({ storage, store, log, clock, bootedAt, follow, isRemote }: Deps): Volume {
  const facts = store.volume
  const writer = createTreeWriter(storage, false, isRemote)
  const follower = createFollower({
    writer,
    lateWriter: createTreeWriter(storage, true, isRemote),
    metadata: store,
    log,
    isRemote,
  })
  const onUnreadable = (path: string, error: unknown) =>
    log.error('volume.unreadable', { path, error: error instanceof Error ? error.message : String(error) })
  const { reconcile, reader, counts } = createReconciliation({ storage, metadata: store, facts, writer, onUnreadable })
  const reconciled = new Map<string, Promise<void>>()
  const stopping = new AbortController()
  let waiting = 0
  let state: State = { mode: undefined, replayFrom: undefined, takenAway: () => false }
  let isOpen = false
  let isPassed = false
  let isGone = false
  let isMissing = false
  let isWhole = true
  let isFollowing = false
  let begun: Promise<void> | undefined
  let walked: Promise<string[]> | undefined
  let passing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let asked = 0
  let seen = 0
  // Whoever waits for a repository is in a hurry; others that are served meanwhile come first.
  const breathe = createBreath(() => waiting === 0 && asked !== seen && ((seen = asked), true))

  /** Finds out how the tree stands, and begins to write into it what it may lack. */
  const begin = () =>
    (begun ??= beginOnce().catch((error: unknown) => {
      isGone = true // as good as: nothing is compared and nothing followed
      state.mode = undefined
      fail('volume.start-failed')(error)
    }))
  async function beginOnce(): Promise<void> {
    const cursor = await store.cursors.get(cursorName)
    state = await assess({ metadata: store, facts, bootedAt })
    if (!follow && state.mode !== 'tree' && cursor) state.mode = undefined // the tree is of the past
    const gone = cursor && state.mode ? await whatIsGone(storage, facts) : undefined
    if (gone === 'blobs' || (gone && state.mode === 'tree')) {
      isGone = true
      isMissing = gone === 'blobs'
      state.mode = undefined
      return log.error('volume.gone', {
        missing: gone === 'blobs' ? blobsPath : repositoriesPath,
        message: goneAdvice,
      })
    }
    if (!follow) return
    if (!cursor) await store.cursors.set(cursorName, await unfinished())
    follower.start(state.replayFrom ?? (await facts.lastEvent()), await facts.lastEvent())
    isFollowing = true
  }

  /** Reconciles a repository unless that was begun already. */
  function once(repository: string): Promise<void> {
    const known = reconciled.get(repository)
    if (known) return known
    const { mode } = state
    const done = mode ? bringTogether(repository, mode) : Promise.resolve()
    reconciled.set(repository, done)
    return done
  }
  async function bringTogether(repository: string, mode: Mode): Promise<void> {
    try {
      const write = isFollowing ? (work: () => Promise<void>) => void follower.between(repository, work) : undefined
      if (!(await reconcile(repository, { mode, pending: () => state.takenAway, write, breathe }))) isWhole = false
    } catch (error) {
      isWhole = false
      fail('volume.reconcile-failed', { repository })(error)
    }
  }
  async function ready(repository: string): Promise<void> {
    waiting++
    asked++
    try {
      await begin()
      await once(repository)
    } finally {
      waiting--
    }
  }

  const names = () => (walked ??= walk())
  async function walk(): Promise<string[]> {
    const found: string[] = []
    for await (const name of reader.repositories(onUnreadable)) {
      found.push(name)
      await breathe()
    }
    return found.toSorted()
  }

  /** Reconciles everything, the repositories first. */
  async function pass(): Promise<void> {
    await begin()
    const started = performance.now()
    if (state.mode) {
      const all = new Set([...(await names()), ...(await Array.fromAsync(facts.repositories()))])
      let told = performance.now()
      for (const [index, name] of [...all].entries()) {
        if (stopping.signal.aborted) return
        await once(name)
        if (performance.now() - told < progressMs) continue
        told = performance.now()
        log.info('volume.reconciling', { done: index + 1, of: all.size })
      }
      const lost = state.mode === 'tree' ? lostBlobs(storage, store, breathe) : []
      for await (const { digest, since } of lost) {
        if (stopping.signal.aborted) return
        if (await facts.dropBlob(digest, since)) counts.removed++
      }
      if (stopping.signal.aborted) return
      log.info('volume.reconciled', { mode: state.mode, ...counts, ms: Math.round(performance.now() - started) })
    }
    isOpen = true
    reconciled.clear()
    if (!follow && !isGone) await store.cursors.set(cursorName, notFollowed)
    isPassed = !isGone
    await moveCursor()
  }

  /** Where the cursor stands while the tree may lack something that no event is needed for. */
  const unfinished = async () => Math.max(0, (await facts.lastEvent()) - 1)

  /**
   * Stores how far the tree surely follows, which is not the last event while it may lack something. Before a stop all of it counts:
   * whether the machine was cut off from power afterwards is known from when it started.
   */
  async function moveCursor(stopping = false): Promise<void> {
    if (!isPassed || !isFollowing || !follower.isWhole()) return
    const stored = (await store.cursors.get(cursorName))?.sequence ?? 0
    const settled = await facts.lastEventBefore(new Date(clock.now().getTime() - settleMs))
    const reached = stopping ? follower.applied() : Math.max(stored, Math.min(settled, follower.applied()))
    const sequence = isWhole ? reached : Math.min(reached, await unfinished())
    if (sequence !== stored || stopping) await store.cursors.set(cursorName, sequence)
  }

  function fail(event: string, fields: Record<string, unknown> = {}) {
    return (error: unknown) =>
      log.error(event, { ...fields, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }

  const gate: Gate = {
    isOpen: () => isOpen,
    ready,
    names,
    isMissing: () => isMissing,
    sizeOf: (digest) => storage.stat(blobPath(digest)),
  }

  return {
    metadata: createGate(store, gate),
    gate,
    notice: () => follower.notice(),
    async begin() {
      passing = pass().catch(fail('volume.reconcile-failed'))
      timer = setInterval(() => void moveCursor().catch(fail('volume.cursor-failed')), cursorMs).unref()
    },
    /** Writes what the tree lacks yet, and notes that it lacks nothing. */
    async end() {
      stopping.abort()
      clearInterval(timer)
      await passing
      if (!isFollowing) return
      try {
        const left = (await facts.lastEvent()) - follower.applied()
        if (left > 1000) log.info('volume.catching-up', { events: left })
        await follower.stop()
        await moveCursor(true)
      } catch (error) {
        fail('volume.stop-failed')(error) // the database is away: the next start sees that the tree may lack something
      }
    },
    passed: () => passing.then(() => isPassed && isWhole),
  }
}
