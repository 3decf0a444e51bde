import { blobPath } from '../registry/paths.ts'
import { createFollower, cursorName, settleMs } from './follow.ts'
import { createGate, type Gate } from './gate.ts'
import { pendingRemovals } from './pending.ts'
import { createBreath } from './read.ts'
import { ChangedMeanwhile, createReconciliation } from './reconcile.ts'
import { blobsPath } from './layout.ts'
import { goneAdvice, notFollowed, whatIsGone } from './state.ts'
import type { Volume, VolumeDeps } from './volume.ts'
import { createTreeWriter } from './write.ts'

const cursorMs = 30_000
/**
 * A cursor that has not been moved for so long when another node takes over: for a while no node was on duty, and another registry
 * may have been at the volume. A node that stops moves it last of all, and the others look every five seconds.
 */
const untouchedMs = 7000
const lookMs = 1000
const attempts = 5

/**
 * As `createVolume`, where many nodes serve one volume. The node on duty follows the events and takes in what another registry
 * left. Only before the very first time requests wait for that; later what another registry did is found in the background, and
 * what it deleted comes back: what the tree lacks may as well be what another node has just pushed.
 */
export function createSharedVolume({ storage, store, log, clock, follow, isRemote }: VolumeDeps): Volume {
  const facts = store.volume
  const writer = createTreeWriter(storage, false, isRemote)
  const lateWriter = createTreeWriter(storage, true, isRemote)
  const onUnreadable = (path: string, error: unknown) => log.error('volume.unreadable', { path, error: String(error) })
  const { reconcile, reader, counts } = createReconciliation({ storage, metadata: store, facts, writer, onUnreadable })
  const breathe = createBreath(() => false)
  const reconciled = new Map<string, Promise<void>>()
  let isOpen = false
  let isMissing = false
  let looked = -Infinity
  let walked: Promise<string[]> | undefined
  let term: ReturnType<typeof createTerm> | undefined

  /** Whether the volume was taken over once; then whoever asks need wait for nothing. */
  async function look(): Promise<boolean> {
    if (isOpen || performance.now() - looked < lookMs) return isOpen
    looked = performance.now()
    if ((await store.cursors.get(cursorName)) === undefined) return false
    isMissing = (await whatIsGone(storage, facts)) === 'blobs'
    if (isMissing) log.error('volume.gone', { missing: blobsPath, message: goneAdvice })
    return (isOpen = true)
  }
  async function ready(repository: string): Promise<void> {
    if (await look()) return
    if (!reconciled.has(repository))
      reconciled.set(
        repository,
        bringTogether(repository, () => () => false),
      )
    await reconciled.get(repository)
  }
  const names = () => (walked ??= Array.fromAsync(reader.repositories(onUnreadable)).then((all) => all.toSorted()))

  /** Takes in what only the tree has, again as long as the repository is busy, and writes what it lacks. */
  async function bringTogether(
    repository: string,
    pending: Parameters<typeof reconcile>[1]['pending'],
    write?: (work: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const since = await facts.lastEvent()
        await reconcile(repository, { mode: 'both', pending, since, write, breathe })
        return
      } catch (error) {
        if (error instanceof ChangedMeanwhile && attempt < attempts) continue
        log.error('volume.reconcile-failed', { repository, error: String(error) })
        return
      }
    }
  }

  /** The time this node is on duty. */
  function createTerm() {
    const follower = createFollower({ writer, lateWriter, metadata: store, log, isRemote })
    const stopping = new AbortController()
    let isPassed = false
    let passing: Promise<void> = Promise.resolve()
    let timer: NodeJS.Timeout | undefined

    async function begin(): Promise<void> {
      const cursor = await store.cursors.get(cursorName)
      if ((await look()) && isMissing) return
      const isFollowed = cursor !== undefined && cursor.sequence >= 0
      const settled = cursor && (await facts.lastEventBefore(new Date(cursor.movedAt.getTime() - settleMs)))
      const last = await facts.lastEvent()
      // By commits, not by moments, which are those of many clocks: only what is followed again may be older than what is there.
      if (follow) follower.start(isFollowed ? Math.min(cursor.sequence, settled!) : last, last)
      const isUntouched = !isFollowed || clock.now().getTime() - cursor.movedAt.getTime() > untouchedMs
      passing = (isUntouched ? pass() : Promise.resolve())
        .then(() => settle())
        .catch((error: unknown) => log.error('volume.reconcile-failed', { error: String(error) }))
      timer = setInterval(() => void moveCursor().catch(() => {}), cursorMs).unref()
    }

    /** Reconciles everything, each repository while no event is followed. */
    async function pass(): Promise<void> {
      const begun = performance.now()
      const pending = async () => (follow ? pendingRemovals(store.events, follower.applied()) : () => false)
      for (const name of new Set([...(await names()), ...(await Array.fromAsync(facts.repositories()))])) {
        if (stopping.signal.aborted) return
        const work = () => bringTogether(name, pending, follow ? (write) => write() : undefined)
        await (follow ? follower.between(name, work) : work())
      }
      if (!stopping.signal.aborted)
        log.info('volume.reconciled', { mode: 'both', ...counts, ms: Math.round(performance.now() - begun) })
    }
    async function settle(): Promise<void> {
      if (stopping.signal.aborted) return
      isPassed = true
      await moveCursor()
    }
    async function moveCursor(): Promise<void> {
      if (!follow && isPassed) return store.cursors.set(cursorName, notFollowed)
      if (!isPassed || !follower.isWhole()) return
      const settled = await facts.lastEventBefore(new Date(clock.now().getTime() - settleMs))
      const stored = (await store.cursors.get(cursorName))?.sequence ?? 0
      // Also where it stands already: its moment says that somebody is on duty.
      await store.cursors.set(cursorName, Math.max(stored, Math.min(settled, follower.applied())))
    }

    return {
      begin,
      notice: follower.notice,
      passed: () => passing.then(() => isPassed),
      async end(): Promise<void> {
        stopping.abort()
        clearInterval(timer)
        await follower.leave()
        await passing
        await moveCursor().catch(() => {})
      },
    }
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
    notice: () => term?.notice(),
    async begin(): Promise<void> {
      term = createTerm()
      await term.begin()
    },
    async end(): Promise<void> {
      await term?.end()
      term = undefined
    },
    passed: () => term?.passed() ?? Promise.resolve(false),
  }
}
