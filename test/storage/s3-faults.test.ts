import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { describe, it } from 'node:test'
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts'
import { need } from '../support/programs.ts'
import { s3For, startS3 } from '../support/s3.ts'
import { ignore, readAll, streamOf, useNodes } from './tools.ts'

const MiB = 1 << 20
const upload = 'holdfast/uploads/an-id'
const blob = 'docker/registry/v2/blobs/sha256/ab/abc/data'
const patience = { idleMs: 500, slowMs: 1000, attempts: 3, pauseMs: 5 }
const away = { code: 'EAGAIN' }

describe('S3 that fails', { timeout: 60_000, skip: need('versitygw') }, async () => {
  const server = await startS3()
  const proxy = await startFaultProxy(server.url)

  /** A node on an empty bucket behind the proxy. */
  async function start() {
    proxy.fault = () => undefined
    const bucket = randomUUID()
    await server.makeBucket(bucket)
    const store = s3For(proxy.url, bucket, { patience })
    const [node] = await useNodes(1, store)
    return { ...node!, store }
  }
  /** Fails the first requests of this kind, or all of them. */
  function failing(kind: RegExp, fault: Fault, times = Infinity): { count: number } {
    const seen = { count: 0 }
    proxy.fault = ({ method, url }: IncomingMessage) =>
      kind.test(`${method} ${url}`) && seen.count++ < times ? fault : undefined
    return seen
  }
  const part = /^PUT .*partNumber=/
  const complete = /^POST .*uploadId=/
  const read = /^GET .*\/data/

  for (const fault of [
    'refuse',
    'stall',
    { status: 503 },
    { status: 500 },
    { status: 429 },
    { cutAfter: 1 },
  ] as Fault[])
    it(`in passing is not noticed: ${JSON.stringify(fault)}`, async () => {
      const { driver } = await start()
      const bytes = randomBytes(12 * MiB)
      failing(part, fault, 2)
      await driver.append(upload, 0, streamOf(bytes), ignore)
      failing(complete, fault, 2)
      await driver.publish(upload, blob)
      failing(read, fault, 2)
      assert.ok((await readAll(driver, blob))?.equals(bytes))
    })

  it('for good is tried a few times and then said, and what arrived in parts is gone on with', async () => {
    const { driver, store } = await start()
    const bytes = randomBytes(22 * MiB)
    const seen = failing(/partNumber=3/, { status: 503 })
    await assert.rejects(driver.append(upload, 0, streamOf(bytes), ignore), away)
    assert.equal(seen.count, 3)
    const { size } = (await driver.stat(upload))!
    assert.equal(size, 10 * MiB)
    proxy.fault = () => undefined
    await driver.append(upload, size, streamOf(bytes.subarray(size)), ignore)
    failing(/^PUT .*\/data/, { status: 503 })
    await assert.rejects(driver.publish(upload, blob), away)
    assert.equal(await store.head(blob), undefined)
    proxy.fault = () => undefined
    await driver.publish(upload, blob) // asked for again, nothing need be sent again
    assert.ok((await readAll(driver, blob))?.equals(bytes))
  })

  it('leaves nothing half published where bytes go straight to their place', async () => {
    const { driver, store } = await start()
    for (const [size, kind] of [
      [1000, /^PUT/],
      [12 * MiB, complete],
    ] as const) {
      await driver.append(upload, 0, streamOf(randomBytes(size)), ignore, blob)
      failing(kind, 'refuse')
      await assert.rejects(driver.publish(upload, blob), away)
      proxy.fault = () => undefined
      assert.equal(await driver.stat(blob), undefined)
      for await (const { key } of store.unfinished('')) assert.fail(key)
    }
  })

  it('loses an answer: what was done is not taken for undone', async () => {
    const { driver } = await start()
    const bytes = randomBytes(12 * MiB)
    await driver.append(upload, 0, streamOf(bytes), ignore)
    failing(complete, { cutAfter: 1 }, 1)
    await driver.publish(upload, blob)
    assert.ok((await readAll(driver, blob))?.equals(bytes))
    await driver.append(upload, 0, streamOf(bytes), ignore, `${blob}2`)
    failing(complete, { cutAfter: 1 }, 1)
    await driver.publish(upload, `${blob}2`)
    assert.ok((await readAll(driver, `${blob}2`))?.equals(bytes))
  })

  for (const fault of [{ cutAfter: 3 * MiB }, { stallAfter: 3 * MiB }] as Fault[])
    it(`in the middle of a blob: it is read on where it ended, ${JSON.stringify(fault)}`, async () => {
      const { driver } = await start()
      const bytes = randomBytes(8 * MiB)
      await driver.append(upload, 0, streamOf(bytes), ignore, blob)
      await driver.publish(upload, blob)
      failing(read, fault, 2)
      assert.ok((await readAll(driver, blob))?.equals(bytes))
      const seen = failing(read, { cutAfter: 0 })
      await assert.rejects(readAll(driver, blob), away)
      assert.ok(seen.count < 20)
    })

  it('is never read past what another blob of the same path replaced', async () => {
    const { driver, store } = await start()
    await store.put(blob, [randomBytes(2 * MiB)])
    const content = (await driver.open(blob))!
    await store.put(blob, [randomBytes(2 * MiB)])
    await assert.rejects(
      content.sendTo(new Writable({ write: (_c, _e, done) => done() }), { first: 5, last: MiB }),
      away,
    )
    await content.close()
  })

  it('waits for a reader that is slow, and does not take it for a store that is', async () => {
    const { driver } = await start()
    const bytes = randomBytes(4 * MiB)
    await driver.append(upload, 0, streamOf(bytes), ignore, blob)
    await driver.publish(upload, blob)
    const content = (await driver.open(blob))!
    const got: Buffer[] = []
    let first = true
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        got.push(Buffer.from(chunk)) // its memory is used again
        if (first) setTimeout(done, 3 * patience.idleMs)
        else done()
        first = false
      },
    })
    await content.sendTo(sink, { first: 0, last: bytes.length - 1 })
    await content.close()
    assert.ok(Buffer.concat(got).equals(bytes))
  })
})
