import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Content } from '../../http/types.ts'
import type { UploadStates } from '../../metadata/upload-states.ts'
import type { StorageDriver } from '../../registry/ports/storage.ts'
import { createStates } from '../object/states.ts'
import { openSealed, read as readFirst, streamOf } from './content.ts'
import { createDirect } from './direct.ts'
import { plainSize } from './format.ts'
import type { Keyring } from '../../keyring/keyring.ts'
import { sealedPath } from './paths.ts'
import { createStaging, type Staged } from './staging.ts'

interface Options {
  /** Keeps the bytes. */
  inner: StorageDriver
  states: UploadStates
  keyring: Keyring
  /** Whether new content is encrypted; what is encrypted already is read in any case. */
  isOn: boolean
  /** Below this path lies only what is on its way in. */
  uploads: string
}

/** registry:2's links hold digests; they are never encrypted. */
const links = 'docker/registry/v2/repositories'
/** Of what is on its way in, in the database. */
const statesFolder = 'encrypted'
const maxSmall = 8 << 20

/**
 * Encrypts what is appended and published, over any storage. What was stored plain stays as it is and is served; so are the small
 * files of `put`, which hold no content.
 */
export function createEncryptedStorage({ inner, keyring, isOn, uploads, ...options }: Options): StorageDriver {
  const all = createStates<Staged>(options.states)
  const keyed = (path: string) => `${statesFolder}/${path}`
  const states: typeof all = {
    find: (path) => all.find(keyed(path)),
    save: (path, staged, version) => all.save(keyed(path), staged, version),
    see: (path, version) => all.see(keyed(path), version),
    isSeen: (path, version) => all.isSeen(keyed(path), version),
    delete: (path) => all.delete(keyed(path)),
    below: async (path) => (await all.below(keyed(path))).map((found) => found.slice(statesFolder.length + 1)),
  }
  // No tag, repository or digest has a "~".
  const dataFor = (path: string) => `${path}~${randomUUID()}`
  const staging = createStaging({ inner, states, keyring, dataFor })
  const direct = createDirect({ inner, keyring, dataFor })
  const isUpload = (path: string) => path.startsWith(`${uploads}/`)
  const isLink = (path: string) => path === links || path.startsWith(`${links}/`)
  const maySealed = (path: string) => !isUpload(path) && !isLink(path)

  const statSealed = async (path: string) => (maySealed(path) ? inner.stat(sealedPath(path)) : undefined)
  const openSealedAt = async (path: string) => {
    const stored = maySealed(path) ? await inner.open(sealedPath(path)) : undefined
    return stored && openSealed(stored, keyring.find)
  }
  const findStaged = async (path: string) => (isLink(path) ? undefined : staging.find(path))
  const openStaged = async (path: string) => (isLink(path) ? undefined : staging.open(path))

  /** The first of the forms that is there. Of blobs, which may have been pushed both ways, the way they are pushed now counts. */
  async function first<T>(sealed: () => Promise<T>, plain: () => Promise<T>, staged: () => Promise<T>, path: string) {
    const forms = isUpload(path) ? [staged, plain] : isOn ? [sealed, plain, staged] : [plain, sealed, staged]
    for (const form of forms) {
      const found = await form()
      if (found) return found
    }
    return undefined
  }

  /** Encrypts bytes that are not to be had in another way, and publishes them. */
  async function encrypt(source: Readable, to: string): Promise<void> {
    const from = dataFor(to)
    await direct.append(from, sealedPath(to), source, () => undefined)
    await direct.publish(from, sealedPath(to))
  }

  async function encryptFrom(from: string, to: string): Promise<void> {
    const content = await driver.open(from)
    if (!content) throw new Error(`Cannot publish ${from}: there is nothing`)
    try {
      await encrypt(streamOf(content), to)
    } finally {
      await content.close()
    }
  }

  const driver: StorageDriver = {
    stat: (path) =>
      first<{ size: number; modifiedAt: Date } | undefined>(
        async () => {
          const found = await statSealed(path)
          return found && { ...found, size: plainSize(found.size) }
        },
        () => inner.stat(path),
        async () => {
          const found = await findStaged(path)
          return found && { size: found.staged.size, modifiedAt: found.changedAt }
        },
        path,
      ),

    open: (path) =>
      first(
        () => openSealedAt(path),
        () => inner.open(path),
        () => openStaged(path),
        path,
      ),

    // oxlint-disable-next-line max-params -- the port's
    async append(path, offset, source, onChunk, into) {
      const known = await staging.find(path)
      // An upload goes on as it was begun.
      if (!known && (!isOn || offset > 0)) return inner.append(path, offset, source, onChunk, into)
      if (!known && into !== undefined) return direct.append(path, sealedPath(into), source, onChunk)
      return staging.append({ path, offset, known }, source, onChunk)
    },

    /** Encrypted bytes take the place of plain ones, never the other way: two that publish at once cannot remove each other's. */
    async publish(from, to) {
      const sealed = sealedPath(to)
      const known = direct.has(from) ? undefined : await findStaged(from)
      if (direct.has(from)) await direct.publish(from, sealed)
      else if (known) await staging.publish(from, sealed, known)
      else {
        const [isSealed, isPlain] = [await statSealed(from), await inner.stat(from)]
        if (isPlain && !(isOn && isSealed)) {
          if (!isOn) return inner.publish(from, to)
          await encryptFrom(from, to)
          await inner.delete(from)
        } else await inner.publish(sealedPath(from), sealed)
      }
      if (await inner.stat(to)) await inner.delete(to)
    },

    async delete(path) {
      await direct.delete(path)
      await inner.delete(path)
      if (isLink(path)) return
      if (!isUpload(path)) await inner.delete(sealedPath(path))
      await staging.discard(path)
      for (const below of await states.below(`${path}/`)) await staging.discard(below)
    },

    async list(path) {
      if (isLink(path)) return inner.list(path)
      const names = new Set<string>()
      for (const folder of path === uploads ? [path] : [path, sealedPath(path)])
        for (const name of await inner.list(folder)) if (!name.includes('~')) names.add(name)
      for (const below of await states.below(`${path}/`)) names.add(below.slice(path.length + 1).split('/')[0]!)
      return [...names]
    },

    get: (path) =>
      first(
        async () => bytesOf(await openSealedAt(path), path),
        () => inner.get(path),
        async () => bytesOf(await openStaged(path), path),
        path,
      ),

    async put(path, content, modifiedAt) {
      if (isOn && (await statSealed(path))) await encrypt(Readable.from([Buffer.from(content)]), path)
      else await inner.put(path, content, modifiedAt)
    },

    async alias(path, to) {
      if (await driver.stat(to)) return
      if (await statSealed(path)) return inner.alias(sealedPath(path), sealedPath(to))
      if (await findStaged(path)) return encryptFrom(path, to)
      return inner.alias(path, to)
    },

    /** Also what crashes left beside uploads: bytes that no state names. */
    async sweep(before) {
      let swept = (await inner.sweep?.(before)) ?? 0
      for (const name of await inner.list(uploads)) {
        if (!name.includes('~')) continue
        const path = `${uploads}/${name}`
        const found = await inner.stat(path)
        if (!found || found.modifiedAt >= before) continue
        const owner = await states.find(path.slice(0, path.indexOf('~')))
        if (owner?.staged.data === path) continue
        await inner.delete(path)
        swept++
      }
      return swept
    },
  }
  return driver
}

async function bytesOf(content: Content | undefined, path: string): Promise<Buffer | undefined> {
  if (!content) return undefined
  try {
    if (content.size > maxSmall)
      throw new Error(`Cannot read ${path}: it has ${content.size} bytes, expected ${maxSmall} at most`)
    return await readFirst(content, content.size)
  } finally {
    await content.close()
  }
}
