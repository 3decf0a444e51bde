import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import type { ObjectStore } from '../../src/storage/object/store.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { need } from '../support/programs.ts'
import { s3For, startS3 } from '../support/s3.ts'
import { ignore, readAll, streamOf, useNodes } from './tools.ts'

const MiB = 1 << 20
const upload = 'holdfast/uploads/an-id'
const blob = 'docker/registry/v2/blobs/sha256/ab/abc/data'

describe('uploads to S3', { skip: need('versitygw') }, async () => {
  const server = await startS3()
  const proxy = await startFaultProxy(server.url)
  async function makeBucket(): Promise<ObjectStore> {
    const bucket = randomUUID()
    await server.makeBucket(bucket)
    return s3For(proxy.url, bucket, { multipartCopy: { threshold: 32 * MiB, size: 5 * MiB, concurrency: 4 } })
  }
  async function objectsOf(store: ObjectStore): Promise<string[]> {
    const keys = []
    for await (const { key } of store.list('')) keys.push(key)
    return keys.toSorted()
  }
  async function unfinishedOf(store: ObjectStore): Promise<string[]> {
    const keys = []
    for await (const { key } of store.unfinished('')) keys.push(key)
    return keys
  }

  it('go on at another node, chunk by chunk, and leave nothing behind', async () => {
    const store = await makeBucket()
    const nodes = await useNodes(3, store)
    const bytes = randomBytes(23 * MiB + 5)
    const cuts = [0, 10, 70_000, 6 * MiB, 6 * MiB, 7 * MiB, 18 * MiB + 1, bytes.length]
    for (let i = 1; i < cuts.length; i++) {
      const { driver } = nodes[i % 3]!
      const [from, to] = [cuts[i - 1]!, cuts[i]!]
      assert.equal((await driver.stat(upload))?.size ?? 0, from)
      assert.equal(await driver.append(upload, from, streamOf(bytes.subarray(from, to)), ignore), to)
    }
    const last = nodes[0]!.driver
    assert.ok((await readAll(last, upload))?.equals(bytes)) // as the digest is made of what others received
    await last.publish(upload, blob)
    assert.ok((await readAll(nodes[1]!.driver, blob))?.equals(bytes))
    assert.equal(await nodes[1]!.driver.stat(upload), undefined)
    assert.deepEqual(await objectsOf(store), [blob])
    assert.deepEqual(await unfinishedOf(store), [])
  })

  it('go on after they were read as a whole', async () => {
    const store = await makeBucket()
    const [{ driver }] = (await useNodes(1, store)) as [Awaited<ReturnType<typeof useNodes>>[0]]
    const bytes = randomBytes(27 * MiB)
    const cuts = [0, 12 * MiB, 13 * MiB, bytes.length]
    for (let i = 1; i < cuts.length; i++) {
      await driver.append(upload, cuts[i - 1]!, streamOf(bytes.subarray(cuts[i - 1], cuts[i])), ignore)
      assert.ok((await readAll(driver, upload))?.equals(bytes.subarray(0, cuts[i])))
    }
    await driver.publish(upload, blob)
    assert.ok((await readAll(driver, blob))?.equals(bytes))
    assert.deepEqual([await objectsOf(store), await unfinishedOf(store)], [[blob], []])
  })

  it('are not harmed by two nodes at once: one of them is refused', async () => {
    for (const size of [1000, 3 * MiB, 12 * MiB]) {
      const store = await makeBucket()
      const nodes = await useNodes(2, store)
      const begun = randomBytes(7 * MiB)
      await nodes[0]!.driver.append(upload, 0, streamOf(begun), ignore)
      const chunks = [randomBytes(size), randomBytes(size)]
      const outcomes = await Promise.allSettled(
        nodes.map(({ driver }, i) => driver.append(upload, begun.length, streamOf(Buffer.from(chunks[i]!)), ignore)),
      )
      const won = outcomes.findIndex(({ status }) => status === 'fulfilled')
      const lost = outcomes[1 - won] as PromiseRejectedResult
      assert.equal(lost.reason?.code, 'RANGE_INVALID', String(lost.reason))
      // Who hashed other bytes than those that are there does not publish them.
      await assert.rejects(nodes[1 - won]!.driver.publish(upload, blob), { code: 'RANGE_INVALID' })
      await nodes[won]!.driver.publish(upload, blob)
      assert.ok((await readAll(nodes[0]!.driver, blob))?.equals(Buffer.concat([begun, chunks[won]!])))
      assert.deepEqual([await objectsOf(store), await unfinishedOf(store)], [[blob], []])
    }
  })

  it('are not copied when their digest is known from the start', async () => {
    for (const size of [0, 5, 100_000, 4 * MiB, 5 * MiB, 26 * MiB + 1]) {
      const store = await makeBucket()
      const [node] = await useNodes(1, store)
      const bytes = randomBytes(size)
      proxy.seen.length = 0
      assert.equal(await node!.driver.append(upload, 0, streamOf(bytes), ignore, blob), size)
      assert.equal(await node!.driver.stat(blob), undefined, 'it is not seen before')
      await node!.driver.publish(upload, blob)
      const copies = proxy.seen.filter(({ headers }) => 'x-amz-copy-source' in headers)
      assert.deepEqual(copies, [])
      assert.ok((await readAll(node!.driver, blob))?.equals(bytes))
      assert.deepEqual([await objectsOf(store), await unfinishedOf(store)], [[blob], []])
    }
  })

  it('that go straight to their place leave nothing when they break off or are given up', async () => {
    const store = await makeBucket()
    const [node] = await useNodes(1, store)
    async function* broken(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 12; i++) yield randomBytes(MiB)
      throw new Error('the client went away')
    }
    await assert.rejects(node!.driver.append(upload, 0, Readable.from(broken()), ignore, blob), /the client went away/)
    assert.equal(await node!.driver.stat(upload), undefined)
    await node!.driver.append(upload, 0, streamOf(randomBytes(12 * MiB)), ignore, blob)
    await node!.driver.delete(upload)
    assert.deepEqual([await objectsOf(store), await unfinishedOf(store)], [[], []])
  })

  it('list nothing', async () => {
    const store = await makeBucket()
    const [node] = await useNodes(1, store)
    proxy.seen.length = 0
    const bytes = randomBytes(12 * MiB)
    await node!.driver.append(upload, 0, streamOf(bytes), ignore)
    await node!.driver.publish(upload, blob)
    await readAll(node!.driver, blob)
    await node!.driver.delete(upload)
    assert.deepEqual(
      proxy.seen.filter(({ target }) => /list-type|[?&]uploads=?&/.test(target)),
      [],
    )
  })

  it('of two hundred clients at once stay within the memory for all', { timeout: 60_000 }, async () => {
    const store = await makeBucket()
    const [node] = await useNodes(1, store)
    let most = 0
    const piece = Buffer.alloc(65_536, 'x')
    const begun = process.memoryUsage().arrayBuffers
    async function* pieces(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 28; i++) {
        most = Math.max(most, process.memoryUsage().arrayBuffers - begun)
        yield Buffer.from(piece)
      }
    }
    const sizes = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        node!.driver.append(`holdfast/uploads/${i}`, 0, Readable.from(pieces()), ignore),
      ),
    )
    assert.deepEqual([...new Set(sizes)], [1.75 * MiB])
    assert.ok(most < 100 * MiB, `${most >> 20} MiB`)
  })

  it('that crashes left are swept when they are old, and those that go on are not', async () => {
    const store = await makeBucket()
    const [node] = await useNodes(1, store)
    const { driver, states } = node!
    const bytes = randomBytes(8 * MiB)
    await driver.append(upload, 0, streamOf(bytes), ignore)
    await driver.append('holdfast/uploads/lost', 0, streamOf(bytes), ignore)
    await states.delete('holdfast/uploads/lost')
    await store.begin(blob)
    await store.begin('docker/registry/v2/repositories/a/_uploads/of-registry-2/data')
    assert.equal(await driver.sweep!(new Date(Date.now() - 60_000)), 0)
    assert.equal(await driver.sweep!(new Date(Date.now() + 60_000)), 3)
    assert.ok((await readAll(driver, upload))?.equals(bytes))
    assert.deepEqual(await unfinishedOf(store), ['docker/registry/v2/repositories/a/_uploads/of-registry-2/data'])
  })
})
