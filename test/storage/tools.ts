import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { after } from 'node:test'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import type { StorageDriver } from '../../src/registry/ports/storage.ts'
import { createObjectStorage, type ObjectStorageOptions } from '../../src/storage/object/driver.ts'
import type { ObjectStore } from '../../src/storage/object/store.ts'

export interface Node {
  driver: StorageDriver
  states: ObjectStorageOptions['states']
}

/** Nodes on one object store and one database: drivers that know nothing of each other. */
export async function useNodes(
  count: number,
  store: ObjectStore,
  more: Partial<ObjectStorageOptions> = {},
): Promise<Node[]> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-states-'))
  const { uploadStates: states, close } = createSqliteStore({ folder, clock: { now: () => new Date() } })
  after(async () => {
    await close()
    await rm(folder, { recursive: true })
  })
  const options = {
    states,
    partSize: 5 << 20,
    uploads: 'holdfast/uploads',
    id: randomUUID,
    redirect: false,
    idleMs: 500,
  }
  return Array.from({ length: count }, () => ({ driver: createObjectStorage({ ...options, store, ...more }), states }))
}

export const ignore = (): void => undefined

/** Bytes as they come from a client, in pieces. */
export function streamOf(bytes: Buffer): Readable {
  const count = Math.ceil(bytes.length / 65_536)
  return Readable.from(
    Array.from({ length: count }, (_, i) => Buffer.from(bytes.subarray(i * 65_536, (i + 1) * 65_536))),
  )
}

/** All bytes at a path; undefined when there are none. */
export async function readAll(driver: StorageDriver, path: string): Promise<Buffer | undefined> {
  const content = await driver.open(path)
  if (!content) return undefined
  const chunks: Buffer[] = []
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(Buffer.from(chunk)), done()) })
  try {
    if (content.size > 0) await content.sendTo(sink, { first: 0, last: content.size - 1 })
  } finally {
    await content.close()
  }
  return Buffer.concat(chunks)
}
