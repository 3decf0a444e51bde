import type { KeyObject } from 'node:crypto'
import { type Readable, Transform, Writable } from 'node:stream'
import type { ByteRange, Content } from '../../http/types.ts'
import type { InnerKey } from '../../keyring/keyring.ts'
import { write } from '../file-content.ts'
import { free } from '../receive.ts'
import { chunkSize, damaged, headerSize, plainSize, readHeader, sealedChunk, unseal } from './format.ts'

type Find = (id: string) => Promise<InnerKey>

/** Published content, decrypted as it is read: chunk by chunk, none is sent before it is proven. */
export function openSealed(stored: Content, find: Find): Content {
  const size = plainSize(stored.size)
  return {
    size,
    close: () => stored.close(),
    async sendTo(sink, range) {
      if (range.last >= size)
        throw new Error(`Cannot send content: it ends at byte ${size}, expected ${range.last + 1}`)
      if (range.last < range.first) return
      const isFromStart = range.first < chunkSize // then the header comes along
      const key = isFromStart ? undefined : await readHeader(await read(stored, headerSize), find)
      await sendChunks({ stored, end: stored.size, isWhole: true, key, find }, sink, range)
    },
  }
}

/** Chunks of content that is on its way in, the first `end` bytes of what is stored; none of them is the last. */
export function sendStaged(
  stored: Content,
  { end, key }: { end: number; key: KeyObject },
  sink: Writable,
  range: ByteRange,
): Promise<void> {
  const find = () => Promise.reject(new Error('the key is known'))
  return sendChunks({ stored, end, isWhole: false, key, find }, sink, range)
}

interface Source {
  stored: Content
  /** Where the last chunk ends in what is stored. */
  end: number
  /** Whether the last chunk is the end of the content. */
  isWhole: boolean
  key: KeyObject | undefined
  find: Find
}

async function sendChunks(source: Source, sink: Writable, range: ByteRange): Promise<void> {
  const { stored, end, isWhole, find } = source
  const lastIndex = Math.ceil((end - headerSize) / sealedChunk) - 1
  const startOf = (index: number) => headerSize + index * sealedChunk
  const endOf = (index: number) => Math.min(end, startOf(index + 1))
  let dataKey = source.key
  let index = Math.floor(range.first / chunkSize)
  const until = Math.floor(range.last / chunkSize)
  const first = dataKey ? startOf(index) : 0
  let gathered: Buffer[] = []
  let bytes = 0
  let missing = range.last + 1 - range.first
  let failure: Error | undefined

  /** The next so many stored bytes; undefined while fewer are there. What is kept is copied: the driver may use its buffer again. */
  function next(chunk: Buffer, wanted: number): { taken: Buffer; rest: Buffer } | undefined {
    const lacking = wanted - bytes
    if (chunk.length < lacking) {
      gathered.push(Buffer.from(chunk))
      bytes += chunk.length
      return undefined
    }
    const head = chunk.subarray(0, lacking)
    const taken = bytes === 0 ? head : Buffer.concat([...gathered, head])
    gathered = []
    bytes = 0
    return { taken, rest: chunk.subarray(lacking) }
  }

  async function take(chunk: Buffer): Promise<void> {
    const plain: Buffer[] = []
    let rest = chunk
    while (rest.length > 0 && index <= until) {
      const found = next(rest, dataKey ? endOf(index) - startOf(index) : headerSize)
      if (!found) break
      rest = found.rest
      if (!dataKey) {
        dataKey = await readHeader(found.taken, find)
        continue
      }
      const mark = isWhole && index === lastIndex ? 'last' : 'middle'
      const opened = unseal(found.taken, { dataKey, index, mark })
      const from = index++ * chunkSize
      plain.push(opened.subarray(Math.max(0, range.first - from), range.last + 1 - from))
    }
    await pass(plain)
  }

  async function pass(plain: Buffer[]): Promise<void> {
    const last = plain.pop()
    if (!last || sink.destroyed) return
    sink.cork()
    for (const part of plain) sink.write(part)
    const written = write(sink, last)
    sink.uncork()
    await written
    for (const part of [...plain, last]) missing -= part.length
    if (!sink.destroyed) [...plain, last].forEach(free) // whose sink went away may still be read from
  }

  const opener = new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk).then(
        () => (sink.destroyed ? opener.destroy() : done()),
        (error: Error) => done((failure = error)),
      )
    },
  })
  opener.on('error', () => undefined) // thrown below
  await stored.sendTo(opener, { first, last: endOf(until) - 1 })
  if (failure) throw failure
  if (missing > 0 && !sink.destroyed) throw damaged(`${missing} bytes are missing`)
}

/** The first bytes of stored content. */
export async function read(stored: Content, length: number): Promise<Buffer> {
  if (stored.size < length) throw damaged('it is cut')
  const chunks: Buffer[] = []
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(Buffer.from(chunk)), done()) })
  if (length > 0) await stored.sendTo(sink, { first: 0, last: length - 1 })
  return Buffer.concat(chunks)
}

/** The first so many bytes of content, or all of them, as a stream. */
export function streamOf(content: Content, length = content.size): Readable {
  // Whoever sends may use its buffer again.
  const copy = new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(chunk)) })
  const sent = length > 0 ? content.sendTo(copy, { first: 0, last: length - 1 }) : Promise.resolve()
  sent.then(
    () => copy.end(),
    (error: Error) => copy.destroy(error),
  )
  return copy
}
