import { randomBytes } from 'node:crypto'
import { cannot, type MasterKey, type MasterKeyOptions, openMasterKey } from './master-keys.ts'

/** A key that something is encrypted with; `id` is 16 hexadecimal digits. */
export interface InnerKey {
  id: string
  key: Buffer
}

export interface Keyring {
  /** The key that what is new is encrypted with. */
  current(): InnerKey
  /** @throws Error when there is no such key, or none of the configuration opens it */
  find(id: string): Promise<InnerKey>
  /** Wraps all keys by the first of the configuration; gives how many were wrapped by another one. */
  rewrap(): Promise<number>
}

/** Where wrapped keys lie: a small text each, only ever replaced by the same key in another wrapping. */
export interface KeyPlace {
  ids(): Promise<string[]>
  get(id: string): Promise<string | undefined>
  /** Puts it there as a whole or not at all. */
  put(id: string, text: string): Promise<void>
  /** What to call it where it is missing or damaged. */
  nameOf(id: string): string
  /** Where the configuration names the keys that wrap these. */
  option: string
  /** What these keys encrypt. */
  what: string
}

interface Wrapped {
  version: 1
  id: string
  /** The name of the key it is wrapped by. */
  by: string
  wrapped: string
  madeAt: string
}

interface Deps {
  place: KeyPlace
  keys: MasterKeyOptions[]
  clock: { now(): Date }
  /** Whether a key is made where the first of the configuration has wrapped none. */
  mayMake: boolean
}

/**
 * Keys that are themselves wrapped by keys of the configuration. Nodes that start at once lose none.
 * @throws Error that says what to do when one of them cannot be opened; then nothing was written
 */
export async function openKeyring({ place, keys, clock, mayMake }: Deps): Promise<Keyring> {
  const masters: MasterKey[] = []
  for (const key of keys) masters.push(await openMasterKey(key, place.option))
  const known = new Map<string, InnerKey & { madeAt: string; by: string }>()
  for (const id of await place.ids()) await load(id)
  const first = masters[0]!
  const own = () => [...known.values()].filter(({ by }) => by === first.id)
  if (own().length === 0 && mayMake) await make()

  async function load(id: string) {
    const name = place.nameOf(id)
    const text = await place.get(id)
    if (text === undefined) throw new Error(`Cannot decrypt: there is no ${name}; put it back from a backup`)
    const kept = parse(text)
    if (kept?.id !== id) throw new Error(`Cannot decrypt: ${name} is damaged; put it back from a backup`)
    const master = masters.find((key) => key.id === kept.by)
    const why = `${place.what} are encrypted with it`
    if (!master) throw cannot(place.option, kept.by, `it is missing, and ${why}; add it, below the one in use`)
    const key = await master.unwrap(Buffer.from(kept.wrapped, 'base64'))
    if (!key)
      throw cannot(
        place.option,
        kept.by,
        `it is another key than the one ${place.what} were encrypted with under this id`,
      )
    const found = { id, key, madeAt: kept.madeAt, by: kept.by }
    known.set(id, found)
    return found
  }

  async function make(): Promise<void> {
    const made = { id: randomBytes(8).toString('hex'), key: randomBytes(32), madeAt: clock.now().toISOString() }
    await store(made)
    await load(made.id) // what cannot be opened again shall encrypt nothing
  }

  async function store({ id, key, madeAt }: InnerKey & { madeAt: string }): Promise<void> {
    const wrapped = (await first.wrap(key)).toString('base64')
    const kept: Wrapped = { version: 1, id, by: first.id, wrapped, madeAt }
    await place.put(id, JSON.stringify(kept))
  }

  return {
    current() {
      const [newest] = own().toSorted((a, b) => b.madeAt.localeCompare(a.madeAt) || a.id.localeCompare(b.id))
      if (!newest) throw new Error(`no key that ${place.what} are encrypted with is wrapped by "${first.id}"`)
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

function parse(text: string): Wrapped | undefined {
  try {
    const kept = JSON.parse(text) as Wrapped
    const texts = [kept.id, kept.by, kept.wrapped, kept.madeAt]
    return kept.version === 1 && texts.every((one) => typeof one === 'string') ? kept : undefined
  } catch {
    return undefined
  }
}
