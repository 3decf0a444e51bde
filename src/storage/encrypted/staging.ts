import type { KeyObject } from 'node:crypto'
import { Readable, type Writable } from 'node:stream'
import type { ByteRange, Content } from '../../http/types.ts'
import type { StorageDriver } from '../../registry/ports/storage.ts'
import { createIntake } from '../object/intake.ts'
import { conflict, type Known, type States } from '../object/states.ts'
import { sendStaged, streamOf } from './content.ts'
import { chunkSize, headerSize, makeHeader, readHeader, seal, sealedChunk, unseal } from './format.ts'
import type { Keyring } from '../../keyring/keyring.ts'
import { createSealingStream } from './stream.ts'

/** Encrypted content on its way in: whole chunks in the storage, what comes after them right here, encrypted as well. */
export interface Staged {
  /** Plain bytes. */
  size: number
  header: string
  /** Where the chunks lie, and how many bytes they have; more lie there when a write was cut off. */
  data?: string | undefined
  stored: number
  /** What is too little for a chunk, or may be the last one. */
  held: string
  /** Somebody writes, or was cut off: nobody else may write to the same place. */
  busy?: boolean
}

export interface StagingDeps {
  inner: StorageDriver
  states: States<Staged>
  keyring: Keyring
  /** A path nobody has, for bytes of the content at this path. */
  dataFor(path: string): string
}

const ignore = (): void => undefined

export function createStaging({ inner, states, keyring, dataFor }: StagingDeps) {
  const keyOf = ({ header }: Staged) => readHeader(Buffer.from(header, 'base64'), keyring.find)
  const indexOf = ({ stored }: Staged) => (stored === 0 ? 0 : (stored - headerSize) / sealedChunk)
  const heldOf = ({ held }: Staged, dataKey: KeyObject, index: number) =>
    unseal(Buffer.from(held, 'base64'), { dataKey, index, mark: 'held' })

  /** What is on its way to a path; what lost its chunks is forgotten. */
  async function find(path: string): Promise<Known<Staged> | undefined> {
    const known = await states.find(path)
    if (!known?.staged.data || (await inner.stat(known.staged.data))) return known
    await states.delete(path)
    return undefined
  }

  /** Takes the content for one writer; what a write that was cut off left behind it stays elsewhere. */
  async function take(path: string, { staged, version }: Known<Staged>): Promise<{ staged: Staged; version: number }> {
    const { data, stored, busy } = staged
    let next = staged
    if (data && (busy || (await inner.stat(data))?.size !== stored))
      next = { ...staged, data: await copy(path, staged) }
    try {
      version = await states.save(path, { ...next, busy: true }, version)
    } catch (error) {
      if (next.data && next.data !== data) await inner.delete(next.data)
      throw error
    }
    if (data && next.data !== data) await inner.delete(data)
    return { staged: next, version }
  }

  async function copy(path: string, { data, stored }: Staged): Promise<string> {
    const to = dataFor(path)
    const content = await inner.open(data!)
    if (!content) throw new Error(`Cannot read ${data}: it is gone`)
    try {
      await inner.append(to, 0, streamOf(content, stored), ignore)
      return to
    } catch (error) {
      await inner.delete(to).catch(ignore) // swept later
      throw error
    } finally {
      await content.close()
    }
  }

  /** As the port has it. @throws OciError RANGE_INVALID when another writer was quicker */
  async function append(
    { path, offset, known }: { path: string; offset: number; known: Known<Staged> | undefined },
    source: Readable,
    onChunk: (chunk: Buffer) => void,
  ): Promise<number> {
    let size = offset
    const intake = createIntake(source, (chunk) => {
      size += chunk.length
      onChunk(chunk)
    })
    try {
      if ((known?.staged.size ?? 0) !== offset) throw conflict()
      let { staged, version } = known ? await take(path, known) : { staged: begin(), version: 0 }
      const dataKey = await keyOf(staged)
      let index = indexOf(staged)
      let held = known ? heldOf(staged, dataKey, index) : Buffer.alloc(0)
      await intake.until(chunkSize + 1 - held.length)
      if (held.length + intake.bytes() > chunkSize) {
        const { data = dataFor(path), stored } = staged
        const header = stored === 0 ? Buffer.from(staged.header, 'base64') : undefined
        const sealing = createSealingStream({ intake, dataKey, index, header, held, isWhole: false })
        try {
          const now = await inner.append(data, stored, sealing.stream, ignore)
          staged = { ...staged, data, stored: now }
        } catch (error) {
          sealing.stream.destroy()
          if (!known) await inner.delete(data).catch(ignore) // swept later
          throw error
        }
        ;({ held, index } = sealing.rest())
      } else held = Buffer.concat([held, ...intake.take(chunkSize)])
      const kept = Buffer.concat(seal([held], { dataKey, index, mark: 'held' })).toString('base64')
      await states.save(path, { ...staged, size, held: kept, busy: false }, version)
      if (intake.failure()) throw intake.failure()
      return size
    } finally {
      intake.close()
    }
  }

  function begin(): Staged {
    return { size: 0, header: makeHeader(keyring.current()).header.toString('base64'), stored: 0, held: '' }
  }

  /** Writes the last chunk and publishes all of it to this path of the storage, if it is what this process knows. */
  async function publish(path: string, to: string, known: Known<Staged>): Promise<void> {
    if (!states.isSeen(path, known.version)) throw conflict()
    const { staged } = await take(path, known)
    const { data = dataFor(path), stored } = staged
    try {
      const dataKey = await keyOf(staged)
      const index = indexOf(staged)
      const last = seal([heldOf(staged, dataKey, index)], { dataKey, index, mark: 'last' })
      const bytes = Buffer.concat(stored === 0 ? [Buffer.from(staged.header, 'base64'), ...last] : last)
      await inner.append(data, stored, Readable.from([bytes]), ignore, stored === 0 ? to : undefined)
      await inner.publish(data, to)
    } catch (error) {
      await discard(path).catch(ignore) // the first error says more
      throw error
    }
    await states.delete(path)
  }

  async function open(path: string): Promise<Content | undefined> {
    const known = await find(path)
    if (!known) return undefined
    const { staged, version } = known
    const dataKey = await keyOf(staged)
    const held = heldOf(staged, dataKey, indexOf(staged))
    const stored = staged.data === undefined ? undefined : await inner.open(staged.data)
    states.see(path, version)
    const inChunks = staged.size - held.length
    return {
      size: staged.size,
      close: async () => stored?.close(),
      async sendTo(sink: Writable, { first, last }: ByteRange) {
        if (last >= staged.size) throw new Error(`Cannot send ${path}: it ends at byte ${staged.size}`)
        if (stored && first <= last && first < inChunks) {
          const range = { first, last: Math.min(last, inChunks - 1) }
          await sendStaged(stored, { end: staged.stored, key: dataKey }, sink, range)
        }
        const rest = held.subarray(Math.max(0, first - inChunks), Math.max(0, last + 1 - inChunks))
        if (rest.length > 0 && !sink.destroyed) await new Promise<void>((done) => sink.write(rest, () => done()))
      },
    }
  }

  async function discard(path: string): Promise<void> {
    const known = await states.find(path)
    if (!known) return
    if (known.staged.data) await inner.delete(known.staged.data)
    await states.delete(path)
  }

  return { find, append, publish, open, discard }
}
