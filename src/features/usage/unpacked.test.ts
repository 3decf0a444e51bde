import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Content } from '../../http/types.ts'
import { tooLarge, unreadable } from '../../metadata/size-facts.ts'
import { unpackedSize } from './unpacked.ts'

const never = new AbortController().signal

/** Bytes as a driver sends them, in pieces, from a buffer that is used again. */
function contentOf(bytes: Buffer, piece = 64 << 10): Content {
  return {
    size: bytes.length,
    close: async () => {},
    async sendTo(sink) {
      const used = Buffer.alloc(piece)
      for (let at = 0; at < bytes.length && !sink.destroyed; at += piece) {
        const length = bytes.copy(used, 0, at, at + piece)
        await new Promise<void>((resolve) => {
          sink.once('close', resolve)
          sink.write(used.subarray(0, length), () => (sink.off('close', resolve), resolve()))
        })
      }
    },
  }
}
const sizeOf = (bytes: Buffer, piece?: number) => unpackedSize(contentOf(bytes, piece), never)

const tar = (size: number) => Buffer.from(Array.from({ length: size }, (_, index) => (index * index) % 251))
const [one, two] = [tar(300_000), tar(70_001)]

describe('the unpacked size', () => {
  it('is that of what gzip has in it, in one member or several, also of nothing', async () => {
    assert.equal(await sizeOf(gzipSync(one)), 300_000)
    assert.equal(await sizeOf(Buffer.concat([gzipSync(one), gzipSync(two)]), 1000), 370_001)
    assert.equal(await sizeOf(Buffer.concat([gzipSync(one), Buffer.alloc(512)])), 300_000, 'padded')
    assert.equal(await sizeOf(gzipSync(Buffer.alloc(0))), 0)
  })

  it('is that of all frames of zstd, wherever they are cut', async () => {
    const skipped = Buffer.concat([Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('notes')])
    const checked = zstdCompressSync(two, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    const many = Array.from({ length: 50 }, (_, index) => zstdCompressSync(tar(index)))
    const all = Buffer.concat([skipped, zstdCompressSync(one), skipped, checked, ...many, skipped])
    for (const piece of [1, 7, 1000, 1 << 20]) assert.equal(await sizeOf(all, piece), 370_001 + (50 * 49) / 2)
  })

  it('is its size where nothing is packed', async () => {
    assert.equal(await sizeOf(one), 300_000)
    assert.equal(await sizeOf(Buffer.alloc(0)), 0)
    assert.equal(await sizeOf(Buffer.from([0x1f])), 1)
  })

  it('is none where it cannot be told', async () => {
    assert.equal(await sizeOf(gzipSync(one).subarray(0, -9)), unreadable)
    assert.equal(await sizeOf(zstdCompressSync(one).subarray(0, -9)), unreadable)
    assert.equal(await sizeOf(Buffer.concat([zstdCompressSync(one), Buffer.from('more')])), unreadable)
    assert.equal(await sizeOf(Buffer.concat([gzipSync(one), Buffer.from('more than that')]), 100), unreadable)
    assert.equal(await sizeOf(Buffer.from('1f8b08000000000000ff0000', 'hex')), unreadable)
  })

  it('of what unpacks to far more than it could need is not looked for to the end', async () => {
    const member = gzipSync(Buffer.alloc(200e6), { level: 9 })
    assert.equal(await sizeOf(Buffer.concat(Array.from({ length: 200 }, () => member))), tooLarge)
  })

  it('is not waited for when the registry stops', async () => {
    const stopping = new AbortController()
    const found = unpackedSize(contentOf(gzipSync(one), 100), stopping.signal)
    stopping.abort()
    await assert.rejects(found)
  })
})
