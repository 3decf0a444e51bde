import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Log } from '../platform/log.ts'
import type { RegistryEvent } from '../registry/ports/events.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { TreeWriter } from './write.ts'

/** How far the tree follows is kept under this name. */
export const cursorName = 'tree'
/** Longer than a file system takes to bring what was written without fsync to the disk. */
export const settleMs = 120_000

const pageSize = 50
/** So long it may hold the event loop, and as many times longer it pauses: while requests are busy, and while nothing else is. */
const workMs = 2
const pauseFactor = { busy: 19, idle: 1 }
const leastPauseMs = 20
/** Share of its time the event loop works from which on others are busy. */
const busyFrom = 0.1
const retryMs = 5000

interface Deps {
  writer: TreeWriter
  /** Writes nothing over what is newer. */
  lateWriter: TreeWriter
  metadata: Pick<MetadataStore, 'events' | 'manifests'>
  log: Log
}

/** Writes what one event says into the tree; again does no harm. */
async function applyEvent(
  event: RegistryEvent,
  writer: TreeWriter,
  manifests: MetadataStore['manifests'],
): Promise<void> {
  const { repository } = event
  const at = new Date(event.at)
  switch (event.type) {
    case 'blob.pushed':
    case 'blob.mounted':
      return writer.layer(repository, event.digest, at)
    case 'blob.deleted':
      return writer.removeLayer(repository, event.digest, at)
    case 'manifest.pushed': {
      const manifest = await manifests.find(repository, { digest: event.digest })
      if (!manifest) return // deleted since: the event that says so follows
      await writer.manifest(repository, manifest, at)
      for (const tag of event.tags) await writer.tag(repository, tag, event.digest, at)
      return
    }
    case 'manifest.deleted':
      await writer.removeManifest(repository, event.digest, at)
      for (const tag of event.tags) await writer.removeTag(repository, tag, at)
      return
    case 'tag.deleted':
      return writer.removeTag(repository, event.tag, at)
  }
}

/**
 * Keeps the tree behind the event log, in the order of commits. Links are not synced: the cursor that is stored lags by
 * `settleMs` instead, so that what a power cut takes is written again at the next start.
 */
export function createFollower({ writer, lateWriter, metadata, log }: Deps) {
  let applied = 0
  let failed = false
  let noticed = true
  let isBusy = true
  let wake: () => void = () => {}
  let running: Promise<void> = Promise.resolve()
  const stopping = new AbortController()
  /** Failures the log knows of, by repository. */
  const told = new Set<string>()

  /** Resolves after the time, or when the follower stops. */
  async function pause(ms: number): Promise<void> {
    await setTimeout(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
  }

  /** Applies all events there are; with `paced` beside whatever else the process does. */
  async function catchUp(paced: boolean, replaying: boolean): Promise<void> {
    let begun = performance.now()
    for (;;) {
      const events = await metadata.events.after(applied, pageSize)
      for (const event of events) {
        await applySurely(event, replaying)
        applied = event.sequence
        const worked = performance.now() - begun
        if (worked < workMs) continue
        await (paced ? letOthersWork(worked) : setImmediate())
        begun = performance.now()
      }
      if (events.length < pageSize) break
    }
    if (paced) await letOthersWork(performance.now() - begun)
  }

  /** Pauses so much longer than it worked; what comes in the meantime costs less together. */
  async function letOthersWork(worked: number): Promise<void> {
    const before = performance.eventLoopUtilization()
    await pause(Math.max(leastPauseMs, worked * pauseFactor[isBusy ? 'busy' : 'idle']))
    isBusy = performance.eventLoopUtilization(before).utilization > busyFrom
  }

  /** Tries until it works or there is no more time; the log hears of it once. */
  async function applySurely(event: RegistryEvent, replaying: boolean): Promise<void> {
    for (;;) {
      try {
        return await applyEvent(event, replaying ? lateWriter : writer, metadata.manifests)
      } catch (error) {
        const { type, repository } = event
        tell({ event: type, repository }, error)
        if (stopping.signal.aborted || !mayPass(error)) {
          failed = true // from here on the tree may lack something: the cursor must not say otherwise
          return
        }
        await pause(retryMs)
      }
    }
  }

  function tell(fields: Record<string, unknown>, error: unknown): void {
    const key = `${String(fields.repository)} ${codeOf(error)}`
    if (!told.has(key)) log.error('volume.follow-failed', { ...fields, error: String(error) })
    told.add(key)
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      if (!noticed) await new Promise<void>((resolve) => (wake = resolve))
      noticed = false
      await catchUp(true, false)
    }
  }

  return {
    /** The last event in the tree. */
    applied: () => applied,
    /** Whether every event up to `applied` is in the tree. */
    isWhole: () => !failed,
    /** There are new events. */
    notice(): void {
      noticed = true
      wake()
    },
    /** Brings the tree up to date after `from`, at full speed; what registry:2 wrote since then stays. */
    async replay(from: number): Promise<void> {
      applied = from
      await catchUp(false, true)
    },
    start(from: number): void {
      applied = from
      running = run().catch((error: unknown) => {
        failed = true
        log.error('volume.follow-failed', { error: String(error) })
      })
    },
    /** Writes what is left, at full speed. */
    async stop(): Promise<void> {
      stopping.abort()
      wake()
      await running
      await catchUp(false, false)
    },
  }
}

/** Whether it is worth trying again: a full disk may get room. */
function mayPass(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EIO', 'ESTALE', 'EAGAIN'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
