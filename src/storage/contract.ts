import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import type { ByteRange, Content } from '../http/types.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'

interface Created {
  driver: StorageDriver
  dispose(): Promise<void>
}

const ignore = (): void => undefined

/** What every storage driver must do, whatever it keeps the bytes in. `create` gives an empty storage. */
export function testStorageDriver(name: string, create: () => Promise<Created>): void {
  describe(`${name} as a storage`, () => {
    let driver: StorageDriver
    let dispose: () => Promise<void>
    before(async () => {
      ;({ driver, dispose } = await create())
    })
    after(() => dispose())

    const put = (path: string, content: Uint8Array | string) =>
      driver.append(path, 0, Readable.from([Buffer.from(content)]), ignore)

    async function read(path: string, range?: ByteRange): Promise<Buffer | undefined> {
      const content = await driver.open(path)
      if (!content) return undefined
      try {
        return await collect(content, range ?? { first: 0, last: content.size - 1 })
      } finally {
        await content.close()
      }
    }

    describe('stat', () => {
      it('tells the size of what lies at a path, and when it was written', async () => {
        await put('stat/a', 'four')
        const found = (await driver.stat('stat/a'))!
        assert.equal(found.size, 4)
        assert.ok(Math.abs(found.modifiedAt.getTime() - Date.now()) < 60_000)
      })

      it('finds nothing where nothing is, below content, and where only a folder would be', async () => {
        await put('stat/b/c', 'x')
        for (const path of ['stat/none', 'stat/none/deeper', 'stat/b/c/below', 'stat/b'])
          assert.equal(await driver.stat(path), undefined, path)
      })
    })

    describe('open', () => {
      it('reads all and any range of it', async () => {
        const bytes = randomBytes((1 << 20) + 7)
        await put('open/a', bytes)
        const size = bytes.length
        const ranges = [
          [0, size - 1],
          [0, 0],
          [size - 1, size - 1],
          [1, 300_000],
          [(256 << 10) - 1, 256 << 10],
          [500_000, size - 1],
        ] as const
        for (const [first, last] of ranges)
          assert.ok(
            (await read('open/a', { first, last }))?.equals(bytes.subarray(first, last + 1)),
            `${first}-${last}`,
          )
      })

      it('knows the size before anything is read', async () => {
        await put('open/b', 'four')
        const content = await driver.open('open/b')
        assert.equal(content?.size, 4)
        await content?.close()
      })

      it('finds nothing where nothing is', async () => {
        assert.equal(await driver.open('open/none'), undefined)
        assert.equal(await driver.open('open/b/below'), undefined)
      })

      it('throws when less is there than was asked for', async () => {
        await put('open/short', 'short')
        await assert.rejects(read('open/short', { first: 0, last: 5 }))
      })

      it('stops when the reader goes away', { timeout: 10_000 }, async () => {
        await put('open/left', Buffer.alloc(2 << 20))
        const content = (await driver.open('open/left'))!
        const sink = new Writable({ write: (_chunk, _encoding, done) => (sink.destroy(), done()) })
        await content.sendTo(sink, { first: 0, last: content.size - 1 }).catch(ignore)
        await content.close()
      })

      it('serves many readers at once', async () => {
        const contents = Array.from({ length: 8 }, () => randomBytes(700_000))
        await Promise.all(contents.map((bytes, i) => put(`open/many/${i}`, bytes)))
        const got = await Promise.all([...contents.keys(), ...contents.keys()].map((i) => read(`open/many/${i}`)))
        assert.ok(got.every((bytes, i) => bytes?.equals(contents[i % 8]!)))
      })
    })

    describe('append', () => {
      it('creates, goes on at the end, and gives the new size', async () => {
        assert.equal(await put('append/a', 'hello'), 5)
        assert.equal(await driver.append('append/a', 5, Readable.from([Buffer.from(' world')]), ignore), 11)
        assert.equal((await read('append/a'))?.toString(), 'hello world')
      })

      it('creates also when nothing comes', async () => {
        assert.equal(await driver.append('append/empty', 0, Readable.from([]), ignore), 0)
        assert.equal((await driver.stat('append/empty'))?.size, 0)
        assert.deepEqual(await read('append/empty'), Buffer.alloc(0))
      })

      it('hands each byte to onChunk once and in order', async () => {
        const pieces = Array.from({ length: 50 }, (_, i) => randomBytes(i * 999))
        const whole = Buffer.concat(pieces)
        const seen: Buffer[] = []
        await driver.append('append/b', 0, Readable.from(pieces), (chunk) => void seen.push(Buffer.from(chunk)))
        assert.ok(Buffer.concat(seen).equals(whole))
        assert.ok((await read('append/b'))?.equals(whole))
      })

      it('keeps what arrived when the source breaks off, and goes on from there', async () => {
        const bytes = randomBytes(900_000)
        async function* broken(): AsyncGenerator<Buffer> {
          yield bytes.subarray(0, 100)
          yield bytes.subarray(100, 600_000)
          throw new Error('the client went away')
        }
        await assert.rejects(driver.append('append/c', 0, Readable.from(broken()), ignore), /the client went away/)
        assert.equal((await driver.stat('append/c'))?.size, 600_000)
        await driver.append('append/c', 600_000, Readable.from([bytes.subarray(600_000)]), ignore)
        assert.ok((await read('append/c'))?.equals(bytes))
      })

      it('takes nothing from a source that has come to its end before', { timeout: 10_000 }, async () => {
        const source = Readable.from([]).resume()
        await finished(source)
        assert.equal(await driver.append('append/ended', 0, source, ignore), 0)
        assert.equal((await driver.stat('append/ended'))?.size, 0)
      })

      it('throws when the source was destroyed before it began', { timeout: 10_000 }, async () => {
        const source = new Readable({ read: ignore })
        source.destroy()
        await assert.rejects(driver.append('append/d', 0, source, ignore))
      })

      it('receives many at once', async () => {
        const contents = Array.from({ length: 12 }, () => randomBytes(1_500_000))
        await Promise.all(contents.map((bytes, i) => driver.append(`append/many/${i}`, 0, slices(bytes), ignore)))
        const got = await Promise.all(contents.map((_, i) => read(`append/many/${i}`)))
        assert.ok(got.every((bytes, i) => bytes?.equals(contents[i]!)))
      })

      it('may be told where it goes, is seen there once it is published, and leaves nothing when it is given up', async () => {
        for (const [name, size] of Object.entries({ empty: 0, small: 9, large: 20 << 20 })) {
          const [from, to, bytes] = [`into/from/${name}`, `into/to/${name}`, randomBytes(size)]
          for (const isKept of [false, true]) {
            assert.equal(await driver.append(from, 0, slices(bytes), ignore, to), size)
            assert.equal(await driver.stat(to), undefined)
            await (isKept ? driver.publish(from, to) : driver.delete(from))
            assert.equal(await driver.stat(from), undefined)
          }
          assert.ok((await read(to))?.equals(bytes))
        }
      })

      it('keeps memory bounded whatever the length', { timeout: 60_000 }, async () => {
        const piece = Buffer.alloc(1 << 20, 'x')
        let held = 0
        async function* many(): AsyncGenerator<Buffer> {
          for (let i = 0; i < 400; i++) {
            held = Math.max(held, process.memoryUsage().arrayBuffers)
            yield Buffer.from(piece)
          }
        }
        const begun = process.memoryUsage().arrayBuffers
        assert.equal(await driver.append('append/long', 0, Readable.from(many()), ignore), 400 << 20)
        assert.ok(held - begun < 200 << 20, `held ${(held - begun) >> 20} MiB`)
        await driver.delete('append/long')
      })
    })

    describe('publish', () => {
      it('moves content to where nothing was', async () => {
        await put('publish/from/a', 'moved')
        await driver.publish('publish/from/a', 'publish/to/ab/a/data')
        assert.equal((await read('publish/to/ab/a/data'))?.toString(), 'moved')
        assert.equal(await driver.stat('publish/from/a'), undefined)
      })

      it('replaces what lies there', async () => {
        await put('publish/old', 'old and longer')
        await put('publish/new', 'new')
        await driver.publish('publish/new', 'publish/old')
        assert.equal((await read('publish/old'))?.toString(), 'new')
      })

      it('leaves a reader of what was there before alone', async () => {
        await put('publish/read', 'before')
        const content = (await driver.open('publish/read'))!
        await put('publish/next', 'after!')
        await driver.publish('publish/next', 'publish/read')
        assert.equal(String(await collect(content, { first: 0, last: 5 })), 'before')
        await content.close()
      })

      it('takes empty content', async () => {
        await put('publish/nothing', '')
        await driver.publish('publish/nothing', 'publish/empty')
        assert.equal((await driver.stat('publish/empty'))?.size, 0)
      })

      it('throws when there is nothing to publish, and leaves what lies there', async () => {
        await put('publish/kept', 'kept')
        await assert.rejects(driver.publish('publish/none', 'publish/kept'))
        assert.equal((await read('publish/kept'))?.toString(), 'kept')
      })
    })

    describe('delete', () => {
      it('removes content, or everything below a path, and nothing else', async () => {
        for (const path of ['delete/a', 'delete/b/1', 'delete/b/c/2', 'delete/bc']) await put(path, 'x')
        await driver.delete('delete/a')
        await driver.delete('delete/b')
        for (const path of ['delete/a', 'delete/b/1', 'delete/b/c/2']) assert.equal(await driver.stat(path), undefined)
        assert.equal((await driver.stat('delete/bc'))?.size, 1)
      })

      it('of nothing is no error', async () => {
        await driver.delete('delete/a')
        await driver.delete('delete/none/at/all')
      })

      it('lets the path be used again', async () => {
        await put('delete/again', 'first')
        await driver.delete('delete/again')
        await put('delete/again', '2nd')
        assert.equal((await read('delete/again'))?.toString(), '2nd')
      })
    })

    describe('list', () => {
      it('names what lies directly below a path', async () => {
        for (const path of ['list/a', 'list/b', 'list/sub/c']) await put(path, 'x')
        assert.deepEqual((await driver.list('list')).toSorted(), ['a', 'b', 'sub'])
      })

      it('is empty where nothing is, and below content', async () => {
        assert.deepEqual(await driver.list('list/none'), [])
        await put('list/content', 'x')
        assert.deepEqual(await driver.list('list/content'), [])
      })
    })

    describe('a small file', () => {
      const moment = new Date('2020-02-02T02:02:02.123Z')

      it('is written as of a moment, to the millisecond, and read', async () => {
        await driver.put('small/a/b', Buffer.from('hello'), moment)
        assert.equal(String(await driver.get('small/a/b')), 'hello')
        assert.deepEqual(await driver.stat('small/a/b'), { size: 5, modifiedAt: moment })
        assert.deepEqual(await driver.list('small/a'), ['b'])
      })

      it('replaces what lies there', async () => {
        await driver.put('small/c', Buffer.from('long and old'), moment)
        await driver.put('small/c', Buffer.from('new'), moment)
        assert.equal(String(await driver.get('small/c')), 'new')
      })

      it('is not there where nothing is', async () => {
        await driver.put('small/d', Buffer.from('x'), moment)
        assert.equal(await driver.get('small/none'), undefined)
        assert.equal(await driver.get('small/d/below'), undefined)
      })
    })

    describe('alias', () => {
      it('gives content a second path that outlives the first', async () => {
        await put('alias/a', 'same')
        await driver.alias('alias/a', 'alias/deep/b')
        await driver.delete('alias/a')
        assert.equal((await read('alias/deep/b'))?.toString(), 'same')
      })

      it('leaves what lies there, and throws when there is nothing', async () => {
        await put('alias/c', 'c')
        await put('alias/d', 'd')
        await driver.alias('alias/c', 'alias/d')
        assert.equal((await read('alias/d'))?.toString(), 'd')
        await assert.rejects(driver.alias('alias/none', 'alias/e'))
      })
    })
  })
}

async function collect(content: Content, range: ByteRange): Promise<Buffer> {
  const chunks: Buffer[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk)) // the driver may use its buffer again
      done()
    },
  })
  await content.sendTo(sink, range)
  assert.ok(!sink.writableEnded, 'the sink is not ended')
  return Buffer.concat(chunks)
}

function slices(bytes: Buffer): Readable {
  const pieces = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) =>
    bytes.subarray(i * 65_536, (i + 1) * 65_536),
  )
  return Readable.from(pieces)
}
