import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { StorageDriver } from '../../registry/ports/storage.ts'
import type { VolumeKey } from './format.ts'
import { cannot, type MasterKey, type MasterKeyOptions, openMasterKey } from './master-keys.ts'
import { keysPath } from './paths.ts'

export interface Keyring {
  /** The key new content is encrypted with. */
  current(): VolumeKey
  /** @throws Error when there is no such key, or none of the configuration opens it */
  find(id: string): Promise<VolumeKey>
  /** Wraps all keys by the first of the configuration; gives how many were wrapped by another one. */
  rewrap(): Promise<number>
}

interface KeyFile {
  version: 1
  id: string
  /** The name of the key it is wrapped by. */
  by: string
  wrapped: string
  madeAt: string
}

interface Deps {
  storage: StorageDriver
  keys: MasterKeyOptions[]
  clock: { now(): Date }
  /** Whether a key is made where the first of the configuration has wrapped none. */
  mayMake: boolean
}

/**
 * The keys of the volume. Each lies in a file of its own that is only ever replaced by the same key in another wrapping, so nodes that
 * start at once lose none.
 * @throws Error that says what to do when one of them cannot be opened; then nothing was written
 */
export async function openKeyring({ storage, keys, clock, mayMake }: Deps): Promise<Keyring> {
  const masters: MasterKey[] = []
  for (const key of keys) masters.push(await openMasterKey(key))
  const known = new Map<string, VolumeKey & { madeAt: string; by: string }>()
  for (const name of await storage.list(keysPath)) await load(name.replace(/\.json$/, ''))
  const first = masters[0]!
  const own = () => [...known.values()].filter(({ by }) => by === first.id)
  if (own().length === 0 && mayMake) await make()

  async function load(id: string) {
    const path = `${keysPath}/${id}.json`
    const content = await storage.get(path)
    if (!content) throw new Error(`Cannot decrypt: there is no ${path}; put it back from a backup`)
    const file = parse(content)
    if (file?.id !== id) throw new Error(`Cannot decrypt: ${path} is damaged; put it back from a backup`)
    const master = masters.find((key) => key.id === file.by)
    if (!master) throw cannot(file.by, 'it is missing, and blobs are encrypted with it; add it, below the one in use')
    const key = await master.unwrap(Buffer.from(file.wrapped, 'base64'))
    if (!key) throw cannot(file.by, 'it is another key than the one blobs were encrypted with under this id')
    const found = { id, key, madeAt: file.madeAt, by: file.by }
    known.set(id, found)
    return found
  }

  async function make(): Promise<void> {
    const made = { id: randomBytes(8).toString('hex'), key: randomBytes(32), madeAt: clock.now().toISOString() }
    await store(made)
    await load(made.id) // what cannot be opened again shall encrypt nothing
  }

  async function store({ id, key, madeAt }: VolumeKey & { madeAt: string }): Promise<void> {
    const wrapped = (await first.wrap(key)).toString('base64')
    const file: KeyFile = { version: 1, id, by: first.id, wrapped, madeAt }
    const content = Readable.from([Buffer.from(`${JSON.stringify(file)}\n`)])
    const [from, to] = [`holdfast/uploads/key~${randomUUID()}`, `${keysPath}/${id}.json`]
    await storage.append(from, 0, content, () => undefined, to)
    await storage.publish(from, to)
  }

  return {
    current() {
      const [newest] = own().toSorted((a, b) => b.madeAt.localeCompare(a.madeAt) || a.id.localeCompare(b.id))
      if (!newest) throw new Error(`no key in ${keysPath} is wrapped by "${first.id}"`)
      return newest
    },
    find: async (id) => known.get(id) ?? load(id),
    async rewrap() {
      const others = [...known.values()].filter(({ by }) => by !== first.id)
      for (const key of others) {
        await store(key)
        await load(key.id)
      }
      return others.length
    },
  }
}

function parse(content: Buffer): KeyFile | undefined {
  try {
    const file = JSON.parse(content.toString()) as KeyFile
    const texts = [file.id, file.by, file.wrapped, file.madeAt]
    return file.version === 1 && texts.every((text) => typeof text === 'string') ? file : undefined
  } catch {
    return undefined
  }
}
