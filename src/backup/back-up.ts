import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Configuration } from '../config/configuration.ts'
import { openAccounts } from '../metadata/accounts-alone.ts'
import { copyDatabase } from '../metadata/copy/index.ts'
import { uploadsPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { keysPath } from '../storage/encrypted/paths.ts'
import { each } from '../storage/object/parallel.ts'
import { databasePlace, openReadable, openStorageAlone } from '../stores.ts'
import { copyBlob, createPace, objectionTo, type Pace, type Side, writeFile } from './content.ts'
import { type SnapshotFacts, withFacts } from './facts.ts'
import { withHold } from './hold.ts'
import { prune } from './prune.ts'
import { addSnapshot, ownerOf, setOwner, type Snapshot, sweepSnapshots, withFolder } from './snapshots.ts'

/** Blobs that are copied at the same time. */
export const width = 4
const day = 86_400_000

/** How far it is; told after each blob. */
export interface Progress {
  done: number
  of: number
  copied: number
  copiedBytes: number
}

export interface Tell {
  progress(progress: Progress): void
  /** A blob that is not as it should be, and what breaks without it. */
  problem(digest: string, problem: string, images: string[]): void
}

interface Options {
  configuration: Configuration
  clock: { now(): Date }
  to: StorageDriver
  tell: Tell
  /** How many snapshots are kept; all of them by default. */
  keep?: number | undefined
  /** Reads again what the backup has, and replaces what is damaged. */
  recheck: boolean
  /** The most bytes a second that are copied. */
  limit?: number | undefined
}

/**
 * Adds a snapshot of a registry, which may be running: its database as of one moment, and every blob that names. What is there already is
 * not copied again, so a backup that was cut off goes on where it was.
 * @throws Error that says what to do
 */
export async function backUp(options: Options): Promise<{ name: string; copied: Progress } & Snapshot> {
  const { configuration, clock } = options
  const { databaseUrl: url, storage } = configuration
  const folder = join(storage.root, 'holdfast')
  if (url === undefined && !existsSync(join(folder, 'holdfast.db')))
    throw new Error(`there is no database in ${folder}: nothing was ever served from there`)
  const raw = await openStorageAlone(configuration, clock)
  const from = { raw, readable: await openReadable(configuration, raw, clock) }
  const database = await openAccounts({ url, folder, clock })
  try {
    await expectOwn(options.to, await database.identity())
    return await withHold({ vault: database.vault, clock }, (expectHeld) => copyAll(options, from, expectHeld))
  } finally {
    await database.close()
  }
}

/** A second registry there would take the blobs of the first for nobody's. */
async function expectOwn(to: StorageDriver, identity: string): Promise<void> {
  const owner = await ownerOf(to)
  if (owner === undefined) await setOwner(to, identity)
  else if (owner !== identity) throw new Error('the backup there is of another registry: choose another place')
}

async function copyAll(
  { configuration, clock, to: raw, tell, keep, recheck, limit }: Options,
  from: Side,
  expectHeld: () => void,
) {
  const pace = limit === undefined ? undefined : createPace(limit)
  await raw.delete(uploadsPath) // what was cut off
  await raw.sweep?.(new Date(clock.now().getTime() - day))
  await sweepSnapshots(raw)
  return withFolder(async (folder) => {
    const file = join(folder, 'snapshot.db')
    const at = clock.now().toISOString()
    await copyDatabase(databasePlace(configuration), { file }, { online: true })
    await copyKeys(from.raw, raw)
    const to = { raw, readable: await openReadable(configuration, raw, clock) }
    return withFacts(file, async (facts) => {
      const { lacking, progress } = await copyBlobs({ facts, from, to, tell, isQuick: !recheck, expectHeld, pace })
      const snapshot = await addSnapshot(raw, file, { at, ...facts.totals, lacking })
      if (keep !== undefined) await prune(to, keep)
      expectHeld()
      return { ...snapshot, copied: progress }
    })
  })
}

interface Copying {
  facts: SnapshotFacts
  from: Side
  to: Side
  tell: Tell
  /** Whether the size of what is there says enough. */
  isQuick: boolean
  expectHeld?(): void
  pace?: Pace | undefined
}

/** Copies every blob that is not there; tells which cannot be. */
export async function copyBlobs({ facts, from, to, tell, isQuick, expectHeld, pace }: Copying) {
  const lacking: Snapshot['lacking'] = []
  const progress: Progress = { done: 0, of: facts.totals.blobs, copied: 0, copiedBytes: 0 }
  for await (const blobs of facts.blobs())
    await each(blobs, width, async (blob) => {
      const isThere = (await objectionTo(to, blob, isQuick)) === undefined
      const problem = isThere ? undefined : await copyBlob(from, to.raw, { ...blob, pace })
      expectHeld?.()
      if (problem !== undefined) {
        lacking.push({ digest: blob.digest, problem })
        tell.problem(blob.digest, problem, await facts.imagesOf(blob.digest))
      } else if (!isThere) {
        progress.copied++
        progress.copiedBytes += blob.size
      }
      progress.done++
      tell.progress(progress)
    })
  return { lacking, progress }
}

/** The keys of an encrypted volume, as they lie: wrapped by keys that only the configuration has. */
export async function copyKeys(from: StorageDriver, to: StorageDriver): Promise<void> {
  for (const name of await from.list(keysPath)) {
    const content = await from.get(`${keysPath}/${name}`)
    if (content) await writeFile(to, `${keysPath}/${name}`, content)
  }
}
