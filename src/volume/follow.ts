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
/** Repositories that are written at the same time where that is waiting. */
const remoteWidth = 16

interface Deps {
  writer: TreeWriter
  /** Writes nothing over what is newer. */
  lateWriter: TreeWriter
  metadata: Pick<MetadataStore, 'events' | 'manifests'>
  log: Log
  /** Whether the tree lies in an object store: then to write it is to wait, and takes little of the event loop. */
  isRemote?: boolean | undefined
}

interface Task {
  work: () => Promise<void>
  done?: () => void
  /** What the log says when it fails. */
  about: Record<string, unknown>
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
export function createFollower({ writer, lateWriter, metadata, log, isRemote = false }: Deps) {
  let applied = 0
  /** Up to here events may be older than what another registry wrote. */
  let lateUntil = 0
  let failed = false
  let noticed = true
  let isBusy = true
  let wake: () => void = () => {}
  let running: Promise<void> = Promise.resolve()
  const stopping = new AbortController()
  const others: Task[] = []
  /** Failures the log knows of, by repository. */
  const told = new Set<string>()

  /** Resolves after the time, or when the follower stops. */
  async function pause(ms: number): Promise<void> {
    await setTimeout(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
  }

  /** Applies all events there are; with `paced` beside whatever else the process does. */
  async function catchUp(paced: boolean): Promise<void> {
    let begun = performance.now()
    for (;;) {
      const events = await metadata.events.after(applied, pageSize)
      if (isRemote) await applyTogether(events, paced)
      else
        for (const event of events) {
          await apply(event)
          applied = event.sequence
          if (paced && stopping.signal.aborted) return
          const worked = performance.now() - begun
          if (worked < workMs) continue
          await (paced ? letOthersWork(worked) : setImmediate())
          begun = performance.now()
        }
      if (paced && stopping.signal.aborted) return
      if (events.length < pageSize) break
    }
    if (paced) await letOthersWork(isRemote ? 0 : performance.now() - begun)
  }

  async function apply(event: RegistryEvent & { sequence: number }): Promise<void> {
    const { type, repository, sequence } = event
    const by = sequence > lateUntil ? writer : lateWriter
    await surely({ work: () => applyEvent(event, by, metadata.manifests), about: { event: type, repository } })
  }

  /** Many repositories at a time, each in the order of its events. What is left off is begun anew, which does no harm. */
  async function applyTogether(events: (RegistryEvent & { sequence: number })[], paced: boolean): Promise<void> {
    const left = [...Map.groupBy(events, ({ repository }) => repository).values()]
    const isOver = () => paced && stopping.signal.aborted
    async function work(): Promise<void> {
      for (let own = left.shift(); own; own = left.shift())
        for (const event of own) {
          if (isOver()) return
          await apply(event)
        }
    }
    await Promise.all(Array.from({ length: remoteWidth }, work))
    if (!isOver()) applied = events.at(-1)?.sequence ?? applied
  }

  /** Pauses so much longer than it worked; what comes in the meantime costs less together. */
  async function letOthersWork(worked: number): Promise<void> {
    const before = performance.eventLoopUtilization()
    await pause(Math.max(leastPauseMs, worked * pauseFactor[isBusy ? 'busy' : 'idle']))
    isBusy = performance.eventLoopUtilization(before).utilization > busyFrom
  }

  /** Tries until it works or there is no more time; the log hears of it once. */
  async function surely({ work, about }: Task): Promise<void> {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        tell(about, error)
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
      try {
        await catchUp(true)
        while (others.length > 0 && !stopping.signal.aborted) await doOther()
      } catch (error) {
        if (!mayPass(error)) throw error
        tell({ repository: '' }, error) // the events cannot be read: the database is away
        noticed = true
        await pause(retryMs)
      }
    }
  }
  async function doOther(): Promise<void> {
    await surely(others[0]!)
    others.shift()?.done?.()
  }

  async function halt(): Promise<void> {
    stopping.abort()
    wake()
    await running
  }

  return {
    /** The last event in the tree. */
    applied: () => applied,
    /** Whether every event up to `applied` is in the tree, and whatever else it was asked to write. */
    isWhole: () => !failed && others.length === 0,
    /** There are new events. */
    notice(): void {
      noticed = true
      wake()
    },
    /** Does something to the tree when all events are followed, and no event meanwhile; resolves when that is over. */
    between(repository: string, work: () => Promise<void>): Promise<void> {
      return new Promise((done) => {
        others.push({ work, done, about: { repository } })
        noticed = true
        wake()
      })
    },
    /** Brings the tree up to date after `from`, at full speed; what registry:2 wrote since then stays. */
    async replay(from: number): Promise<void> {
      applied = from
      lateUntil = Infinity
      await catchUp(false)
    },
    /** Follows what comes after `from`; up to `until` what registry:2 wrote since then stays. */
    start(from: number, until = from): void {
      applied = from
      lateUntil = until
      running = run().catch((error: unknown) => {
        failed = true
        log.error('volume.follow-failed', { error: String(error) })
      })
    },
    /** Leaves off as it is: another node goes on. */
    async leave(): Promise<void> {
      await halt()
      failed ||= others.length > 0
      for (const { done } of others.splice(0)) done?.()
    },
    /** Writes what is left, at full speed. */
    async stop(): Promise<void> {
      await halt()
      await catchUp(false)
      while (others.length > 0) await doOther()
    },
  }
}

/** Whether it is worth trying again: a full disk may get room, a database come back. */
function mayPass(error: unknown): boolean {
  return ['EAGAIN', 'ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EIO', 'ESTALE'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
