import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import type { Digest } from '../oci/digest.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { writeFile } from './content.ts'

// What a backup is, below its folder or prefix:
//
//   docker/registry/v2/blobs/…, holdfast/encrypted/…    blobs as they lie in a registry, shared by all snapshots
//   holdfast/encryption-keys/…                          the keys of the volume, wrapped by keys that are not here
//   holdfast/backup.json                                whose backup it is
//   holdfast/snapshots/<name>.db                        the database
//   holdfast/snapshots/<name>.json                      what is said below; written last, so that a snapshot without is none

const folder = 'holdfast/snapshots'
const ownerPath = 'holdfast/backup.json'

export interface Snapshot {
  format: 1
  at: string
  /** SHA-256 of the database, and its bytes. */
  database: { digest: string; size: number }
  blobs: number
  bytes: number
  /** Blobs that were not there, or damaged, when it was made. */
  lacking: { digest: Digest; problem: string }[]
}

/** Names of snapshots, the oldest first. */
export async function listSnapshots(storage: StorageDriver): Promise<string[]> {
  const names = await storage.list(folder)
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .toSorted()
}

/** @throws Error when there is no such snapshot, or nothing that can be read */
export async function readSnapshot(
  storage: StorageDriver,
  wanted: string | undefined,
): Promise<{ name: string } & Snapshot> {
  const names = await listSnapshots(storage)
  const name = wanted ?? names.at(-1)
  if (name === undefined) throw new Error('there is no backup: no snapshot in holdfast/snapshots')
  if (!names.includes(name)) throw new Error(`there is no snapshot ${name}; there are ${names.join(', ')}`)
  const content = await storage.get(`${folder}/${name}.json`)
  const read = parse(content) as Snapshot | undefined
  if (typeof read?.database?.digest !== 'string') throw new Error(`snapshot ${name} is damaged: its .json says nothing`)
  if (read.format !== 1) throw new Error(`snapshot ${name} is of a newer Holdfast: use that one`)
  return { name, ...read }
}

/** Adds a snapshot to a place that has its blobs; gives its name. */
export async function addSnapshot(
  storage: StorageDriver,
  file: string,
  facts: Omit<Snapshot, 'format' | 'database'>,
): Promise<{ name: string } & Snapshot> {
  const name = facts.at.replaceAll(/[:.]/g, '-')
  const digest = await hashFile(file)
  await writeFile(storage, `${folder}/${name}.db`, createReadStream(file))
  const snapshot: Snapshot = { format: 1, database: { digest, size: (await stat(file)).size }, ...facts }
  await writeFile(storage, `${folder}/${name}.json`, Buffer.from(`${JSON.stringify(snapshot, undefined, 2)}\n`))
  return { name, ...snapshot }
}

export async function removeSnapshot(storage: StorageDriver, name: string): Promise<void> {
  await storage.delete(`${folder}/${name}.json`)
  await storage.delete(`${folder}/${name}.db`)
}

/** Removes databases that a crash left without a word about them. */
export async function sweepSnapshots(storage: StorageDriver): Promise<void> {
  const names = new Set(await listSnapshots(storage))
  for (const file of await storage.list(folder))
    if (file.endsWith('.db') && !names.has(file.slice(0, -'.db'.length))) await storage.delete(`${folder}/${file}`)
}

/** Gives a copy of the database of a snapshot to `work`. @throws Error when it is not what was written */
export async function withDatabase<Result>(
  storage: StorageDriver,
  { name, database }: { name: string } & Snapshot,
  work: (file: string) => Promise<Result>,
): Promise<Result> {
  return withFolder(async (parent) => {
    const file = join(parent, 'holdfast.db')
    const content = await storage.open(`${folder}/${name}.db`)
    if (!content) throw new Error(`snapshot ${name} is damaged: its database is missing`)
    try {
      const sink = createWriteStream(file, { mode: 0o600 })
      if (content.size > 0) await content.sendTo(sink, { first: 0, last: content.size - 1 })
      sink.end()
      await finished(sink)
    } finally {
      await content.close()
    }
    if ((await hashFile(file)) !== database.digest)
      throw new Error(`snapshot ${name} is damaged: its database is not what was written`)
    return work(file)
  })
}

/** Gives a temporary folder to `work`. */
export async function withFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-backup-'))
  try {
    return await work(parent)
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
}

/** Whose backup lies there; undefined where none does. */
export async function ownerOf(storage: StorageDriver): Promise<string | undefined> {
  const content = await storage.get(ownerPath)
  if (!content) return undefined
  const { identity } = (parse(content) ?? {}) as { identity?: string }
  if (identity === undefined) throw new Error(`${ownerPath} of the backup is damaged`)
  return identity
}

export async function setOwner(storage: StorageDriver, identity: string): Promise<void> {
  await writeFile(storage, ownerPath, Buffer.from(JSON.stringify({ format: 1, identity })))
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

function parse(content: Buffer | undefined): unknown {
  try {
    return content && JSON.parse(content.toString())
  } catch {
    return undefined
  }
}
