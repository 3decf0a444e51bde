import type { Readable } from 'node:stream'
import { createIntake } from './intake.ts'
import { createPartWriter, type Stored } from './parts.ts'
import type { Pool } from './pool.ts'
import { nothing, receive, type Rest, smallBytes } from './receive.ts'
import { conflict, type Known, type Staged, type States } from './states.ts'
import type { ObjectStore } from './store.ts'

export interface SessionDeps {
  store: ObjectStore
  states: States
  pool: Pool
  /** Bytes of the first parts. */
  partSize: number
  /** A key nobody has, for bytes of the content at this path. */
  keyFor(path: string): string
  /** All bytes of an object that is not larger than a part. */
  read(key: string): Promise<Buffer[]>
}

/**
 * Goes on with an upload whose state lies in the database: what is saved there can be gone on with by any node, after any crash.
 * Parts are written under numbers that were reserved before, objects under names nobody has, so a writer that lost the race
 * harms nothing.
 */
function openSession({ store, states, partSize, keyFor }: SessionDeps, path: string, known: Known | undefined) {
  let staged: Staged = known?.staged ?? { size: 0 }
  let version = known?.version ?? 0
  const parts = createPartWriter({ store, partSize, key: keyFor(path), stored: staged.stored, reserve })

  /** Saves a state; an object with the rest that it no longer names goes. */
  async function change(next: Staged): Promise<void> {
    version = await states.save(path, next, version)
    const [before, after] = [restKey(staged), restKey(next)]
    staged = next
    if (before !== undefined && before !== after) await store.delete([before]).catch(() => undefined) // swept later
  }

  /** While no part was added the rest is still where it was; then it is in the first of them. */
  function reserve(stored: Stored): Promise<void> {
    return change(stored.size === (staged.stored?.size ?? 0) ? { ...staged, stored } : { size: stored.size, stored })
  }

  return {
    staged: () => staged,
    version: () => version,
    parts,
    change,
    /** Saves what was gathered after the last part. */
    async putRest(chunks: Buffer[], size: number): Promise<void> {
      const stored = parts.stored()
      const whole = { size: (stored?.size ?? 0) + size, stored }
      if (size === 0) return change(whole)
      if (size <= smallBytes) return change({ ...whole, rest: { bytes: Buffer.concat(chunks).toString('base64') } })
      const key = keyFor(path)
      await store.put(key, chunks)
      try {
        await change({ ...whole, rest: { key } })
      } catch (error) {
        await store.delete([key]).catch(() => undefined) // swept later
        throw error
      }
    },
    /** Saves the parts that got there, when what comes after them did not. */
    async saveParts(): Promise<void> {
      const stored = parts.stored()
      if (stored && stored.size > (staged.stored?.size ?? 0)) await change({ size: stored.size, stored })
    },
  }
}

/** Appends to the content at a path and gives its new size. */
export async function appendStaged(
  deps: SessionDeps,
  { path, offset, known }: { path: string; offset: number; known: Known | undefined },
  source: Readable,
  onChunk: (chunk: Buffer) => void,
): Promise<number> {
  const intake = createIntake(source, onChunk)
  try {
    if ((known?.staged.size ?? 0) !== offset) throw conflict()
    const session = openSession(deps, path, known)
    const { parts, putRest } = session
    try {
      const first = await restOf(session.staged(), parts)
      const load = () => deps.read(restKey(session.staged())!)
      const rest = await receive(intake, parts, first, { pool: deps.pool, load, save: putRest })
      try {
        await parts.settled()
        if (rest.chunks && (rest !== first || !known)) await putRest(rest.chunks, rest.size)
      } finally {
        rest.giveBack()
      }
    } catch (error) {
      await session.saveParts().catch(() => undefined) // the first error says more
      throw error
    }
    if (intake.failure()) throw intake.failure()
    return session.staged().size
  } finally {
    intake.close()
  }
}

/** Makes one object of content in parts, so that it can be read and copied. */
export async function settle(deps: SessionDeps, path: string, known: Known): Promise<Known> {
  const session = openSession(deps, path, known)
  const { staged, parts } = session
  const { size, stored, rest } = staged()
  if (!stored) return known
  const { key } = stored.upload
  try {
    if (!rest) await session.change(staged()) // from here on no other node goes on with it
    else if ('key' in rest) await parts.addObject(rest.key, size - stored.size)
    else await parts.send([Buffer.from(rest.bytes, 'base64')], size - stored.size, () => undefined)
    await parts.settled()
    await deps.store.complete(stored.upload, parts.stored()!.parts, size)
  } catch (error) {
    // Another attempt may have got that far: nothing else makes an object of this name.
    if ((await deps.store.head(key))?.size !== size) throw error
  }
  await session.change({ size, rest: { key } })
  return { ...known, staged: staged(), version: session.version() }
}

/** The rest as `receive` takes it. An object larger than a part becomes parts inside the store. */
async function restOf(staged: Staged, parts: ReturnType<typeof createPartWriter>): Promise<Rest> {
  const { rest, stored } = staged
  if (!rest) return nothing
  const size = staged.size - (stored?.size ?? 0)
  if ('bytes' in rest) return { ...nothing, size, chunks: [Buffer.from(rest.bytes, 'base64')] }
  if (size <= parts.nextSize()) return { ...nothing, size, chunks: undefined }
  await parts.addObject(rest.key, size)
  return nothing
}

export function restKey({ rest }: Staged): string | undefined {
  return rest && 'key' in rest ? rest.key : undefined
}
