import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { createCollector } from '../../src/collection/collector.ts'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import type { SqlStore } from '../../src/metadata/sql/store.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { createLog } from '../../src/platform/log.ts'
import { createSessions } from '../../src/platform/sessions.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import type { StorageDriver } from '../../src/registry/ports/storage.ts'
import { createFilesystem } from '../../src/storage/filesystem.ts'
import { rescuing } from '../../src/storage/rescuing.ts'

export const actor = { name: 'alice', address: '192.0.2.1' }
export const hour = 3_600_000

/** The process is no more: nothing it waits for comes back to it. */
export class Crashed extends Error {}

export interface WorldOptions {
  graceMs: number
  trashMs: number
  untagged?: boolean
  /** A store in PostgreSQL; else it is SQLite in the folder. */
  openStore?: (clock: { now(): Date }) => Promise<SqlStore>
}

export type World = Awaited<ReturnType<typeof createWorld>>
export type Process = ReturnType<World['start']>

/** A registry without its endpoints on a clock of its own, whose process can die at any step and be started again. */
export async function createWorld({ graceMs, trashMs, untagged = false, openStore }: WorldOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-collection-'))
  const time = { ms: Date.now() }
  const clock = { now: () => new Date(time.ms) }
  const store = openStore ? await openStore(clock) : createSqliteStore({ folder: join(folder, 'holdfast'), clock })
  const files = createFilesystem(folder)
  let logged = ''
  const log = createLog('info', (line) => (logged += line), clock)
  let uploads = 0

  return {
    folder,
    store,
    files,
    now: () => time.ms,
    pass: (ms: number) => void (time.ms += Math.floor(ms)),
    logged: () => logged,

    /** Starts a process; `over` stands between it and the storage. */
    start(over: Partial<StorageDriver> = {}, { isServing = true } = {}) {
      const life = { isOver: false, calls: 0 }
      const metadata = mortal(store, life) as SqlStore
      const storage = rescuing(mortal({ ...files, ...over }, life) as StorageDriver, metadata.collection)
      const registry = createRegistry({
        ...{ storage, metadata, guards: [], sessions: createSessions() },
        ids: { upload: () => `upload-${++uploads}` },
      })
      const collector = createCollector({
        ...{ facts: metadata.collection, storage, log, clock, isServing },
        configuration: {
          collection: { enabled: true, graceMs, fusePercent: 100, untagged, keepPulledMs: 0 },
          trash: { keepMs: trashMs },
        },
        follow: false,
        async breathe() {
          await setImmediate()
          if (life.isOver) throw new Crashed()
        },
      })
      return {
        registry,
        storage,
        metadata,
        collector,
        isOver: () => life.isOver,
        /** Ends it between any two steps; what the kernel or the database was told before still happens. */
        async kill(): Promise<void> {
          life.isOver = true
          while (life.calls > 0) await setImmediate()
        },
      }
    },

    /** The digests of the files of blobs. */
    async blobFiles(): Promise<Digest[]> {
      const root = join(folder, 'docker/registry/v2/blobs')
      const found = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
      return found
        .filter((entry) => entry.isFile())
        .map(({ parentPath }) => parentPath.split('/').slice(-3))
        .map(([algorithm, , hex]) => `${algorithm}:${hex}` as Digest)
        .toSorted()
    },

    /** All blobs of the database. */
    async blobRows(): Promise<Digest[]> {
      return (await store.blobs.list({ limit: 1_000_000 })).map(({ digest }) => digest)
    },

    async dispose(): Promise<void> {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The same object, whose methods, and those of its parts, stop working when the life is over. */
function mortal<T extends object>(whole: T, life: { isOver: boolean; calls: number }): T {
  return Object.fromEntries(
    Object.entries(whole).map(([name, part]) => {
      if (typeof part === 'object' && part !== null) return [name, mortal(part as object, life)]
      if (typeof part !== 'function') return [name, part]
      const method = async (...args: unknown[]): Promise<unknown> => {
        if (life.isOver) throw new Crashed()
        life.calls++
        try {
          return await (part as (...args: unknown[]) => unknown)(...args)
        } finally {
          life.calls--
          // oxlint-disable-next-line no-unsafe-finally -- nobody is there to be told
          if (life.isOver) throw new Crashed()
        }
      }
      return [name, method]
    }),
  ) as T
}
