import type { UploadStates } from '../../metadata/upload-states.ts'
import type { Content } from '../../http/types.ts'
import type { StorageDriver } from '../../registry/ports/storage.ts'
import { usualIdleMs } from './body.ts'
import { contentOf, createContent } from './content.ts'
import { createDirect } from './direct.ts'
import { createPool } from './pool.ts'
import { appendStaged, restKey, settle } from './session.ts'
import { conflict, createStates, type Known } from './states.ts'
import type { ObjectStore } from './store.ts'
import { createSweep } from './sweep.ts'

export interface ObjectStorageOptions {
  store: ObjectStore
  states: UploadStates
  /** Bytes of the first parts of an upload. */
  partSize: number
  /** Below this path lies only what is on its way in: nobody asks the store for it. */
  uploads: string
  /** Gives names that nobody has. */
  id(): string
  /** Whether those who read blobs are sent to the store. */
  redirect: boolean
  /** How long the store may keep silent while it is read from. */
  idleMs?: number
}

/** Objects with bytes of what is on its way in: `holdfast/staging/<path>/<name>`. */
const stagingPrefix = 'holdfast/staging/'
/** Memory of all uploads together, beside a little that each may have. */
const poolBytes = 48 << 20
/** More than any manifest has: a larger link or manifest is damage, and not read into memory. */
const maxSmall = 8 << 20
const isBelow = (path: string, folder: string) => path.startsWith(`${folder}/`)

/**
 * Keeps content in an object store. What is published is one object under its path; what is on its way in is a state in the database
 * with the parts and objects it names.
 */
export function createObjectStorage(options: ObjectStorageOptions): StorageDriver {
  const { store, partSize, uploads, id, redirect, idleMs = usualIdleMs } = options
  const states = createStates(options.states)
  const keyFor = (path: string) => `${stagingPrefix}${path}/${id()}`
  const session = { store, states, pool: createPool(poolBytes), partSize, keyFor, read }
  const direct = createDirect(session)

  async function read(key: string): Promise<Buffer[]> {
    const bytes = await bytesOf(key, Infinity)
    if (!bytes) throw new Error(`Cannot read ${key}: it is gone from the store`)
    return [bytes]
  }

  async function bytesOf(key: string, most: number): Promise<Buffer | undefined> {
    const content = await openObject(key)
    if (!content) return undefined
    try {
      if (content.size > most)
        throw new Error(`Cannot read ${key}: it has ${content.size} bytes, expected ${most} at most`)
      return await collect(content)
    } finally {
      await content.close()
    }
  }

  async function openObject(key: string): Promise<Content | undefined> {
    const found = await store.get(key)
    return found && createContent({ store, key, idleMs, ...found })
  }

  /** In place of the bytes where they can be had. */
  async function openElsewhere(key: string): Promise<Content | undefined> {
    const location = await store.signedUrl(key)
    if (location === undefined) return openObject(key)
    const found = await store.head(key)
    return found && createContent({ store, key, idleMs, ...found, location })
  }

  /** What is on its way in at a path; first looked for where only such content is, elsewhere after what is stored. */
  const isUpload = (path: string) => isBelow(path, uploads)

  async function openStaged(path: string): Promise<Content | undefined> {
    const known = await states.find(path)
    if (!known) return undefined
    const { staged, version } = await settle(session, path, known)
    states.see(path, version)
    const key = restKey(staged)
    if (key !== undefined) return openObject(key)
    return contentOf(staged.rest && 'bytes' in staged.rest ? Buffer.from(staged.rest.bytes, 'base64') : Buffer.alloc(0))
  }

  async function publishStaged(from: string, to: string, known: Known): Promise<void> {
    // The bytes this process hashed, and no others.
    if (!states.isSeen(from, known.version)) throw conflict()
    const { staged } = await settle(session, from, known)
    const key = restKey(staged)
    if (key === undefined) {
      const bytes = staged.rest && 'bytes' in staged.rest ? staged.rest.bytes : ''
      await store.put(to, [Buffer.from(bytes, 'base64')])
    } else await store.copy(key, to, staged.size)
    await Promise.all([states.delete(from), key !== undefined && store.delete([key]).catch(() => undefined)]) // swept later
  }

  async function discard(path: string): Promise<void> {
    await direct.delete(path)
    const known = await states.find(path)
    if (!known) return
    const { staged } = known
    const key = restKey(staged)
    if (staged.stored) await store.abort(staged.stored.upload)
    if (key !== undefined) await store.delete([key])
    await states.delete(path)
  }

  const driver: StorageDriver = {
    async stat(path) {
      const found = isUpload(path) ? undefined : await store.head(path)
      if (found) return { size: found.size, modifiedAt: found.modifiedAt }
      const known = await states.find(path)
      return known && { size: known.staged.size, modifiedAt: known.changedAt }
    },

    async open(path) {
      if (isUpload(path)) return openStaged(path)
      return (await (redirect ? openElsewhere(path) : openObject(path))) ?? openStaged(path)
    },

    // oxlint-disable-next-line max-params -- the port's: a hint for those who can use it
    async append(path, offset, source, onChunk, into) {
      const known = await states.find(path)
      if (into !== undefined && offset === 0 && !known) return direct.append(path, into, source, onChunk)
      return appendStaged(session, { path, offset, known }, source, onChunk)
    },

    async publish(from, to) {
      if (direct.has(from)) return direct.publish(from, to)
      const known = await states.find(from)
      if (known) return publishStaged(from, to, known)
      const found = isUpload(from) ? undefined : await store.head(from)
      if (!found) throw new Error(`Cannot publish ${from}: there is nothing`)
      await store.copy(from, to, found.size)
      await store.delete([from])
    },

    async delete(path) {
      if (isUpload(path)) return discard(path)
      const keys = [path]
      for await (const { key } of store.list(`${path}/`)) keys.push(key)
      await store.delete(keys)
      await discard(path)
      for (const inner of await states.below(`${path}/`)) await discard(inner)
    },

    async list(path) {
      const names = new Set<string>()
      const nameOf = (key: string) => key.slice(path.length + 1).split('/')[0]!
      if (path !== uploads) for await (const { key } of store.list(`${path}/`, true)) names.add(nameOf(key))
      for (const inner of await states.below(`${path}/`)) names.add(nameOf(inner))
      return [...names]
    },

    async get(path) {
      const stored = isUpload(path) ? undefined : await bytesOf(path, maxSmall)
      if (stored) return stored
      const content = await openStaged(path)
      return content && collect(content)
    },

    async put(path, content, modifiedAt) {
      await store.put(path, [Buffer.from(content)], modifiedAt)
    },

    async alias(path, to) {
      if ((await store.head(to)) ?? (await states.find(to))) return
      const found = await store.head(path)
      if (found) return store.copy(path, to, found.size)
      const known = await states.find(path)
      if (!known) throw new Error(`Cannot copy ${path}: there is nothing`)
      const { staged } = await settle(session, path, known)
      const key = restKey(staged)
      if (key !== undefined) return store.copy(key, to, staged.size)
      await store.put(to, [(await driver.get(path))!])
    },

    sweep: createSweep({ store, states, prefix: stagingPrefix }),
  }
  return driver
}

async function collect(content: Content): Promise<Buffer> {
  const { Writable } = await import('node:stream')
  const chunks: Buffer[] = []
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(Buffer.from(chunk)), done()) })
  if (content.size > 0) await content.sendTo(sink, { first: 0, last: content.size - 1 })
  return Buffer.concat(chunks)
}
