import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createClient } from '../durability/client.ts'
import { createRandom, makeImage, noFindings, pushWhole } from '../durability/images.ts'
import { createLedger, startLoad, verify } from '../durability/load.ts'
import { eventually } from '../support/app.ts'
import { digestOf } from '../support/client.ts'
import { childrenOf, startTogether, type Together } from '../support/processes.ts'
import { startRegistry } from '../support/registry.ts'

const nothingFound = noFindings()

describe('a process that dies', () => {
  let registry: Together
  let starts = 3
  before(async () => {
    registry = await startTogether(3)
  })
  after(() => registry.dispose())

  async function kill(index: number): Promise<void> {
    process.kill(registry.pids()[index]!, 'SIGKILL')
    starts++
  }

  it('is not noticed by clients of the others, when it reads', async () => {
    const image = makeImage('quiet/app', 'v1', randomBytes(200_000))
    const client = createClient(registry.url)
    assert.equal((await pushWhole(client, image)).status, 201)
    const [writer, , other] = await registry.connections()
    await kill(1)
    for (let turn = 0; turn < 50; turn++)
      for (const one of [writer!, other!]) {
        const reply = await one.call('GET', `/v2/quiet/app/blobs/${digestOf(image.layer)}`)
        assert.ok(reply.body.equals(image.layer))
        assert.equal((await one.call('POST', '/v2/quiet/app/blobs/uploads/')).status, 202)
      }
    await registry.started(starts)
    for (const one of [writer!, other!]) one.close()
    client.close()
  })

  it('lets others read while there is none that writes, and writes wait for the next', async () => {
    const image = makeImage('calm/app', 'v1', randomBytes(2000))
    const client = createClient(registry.url)
    assert.equal((await pushWhole(client, image)).status, 201)
    client.close()
    const [, ...readers] = await registry.connections()
    const [, ...pushers] = await registry.connections()
    for (const one of readers) assert.equal((await one.call('GET', '/v2/calm/app/manifests/v1')).status, 200)
    await kill(0)
    const writes = pushers.map((one) => one.call('POST', '/v2/calm/app/blobs/uploads/'))
    for (let turn = 0; turn < 30; turn++)
      for (const one of readers) {
        assert.ok((await one.call('GET', '/v2/calm/app/manifests/v1')).body.equals(image.manifest))
        assert.equal((await one.call('GET', '/v2/calm/app/tags/list')).status, 200)
      }
    const written = await Promise.all(writes)
    assert.deepEqual(
      written.map(({ status }) => status),
      pushers.map(() => 202),
    )
    await registry.started(starts)
    for (const one of [...readers, ...pushers]) one.close()
  })

  it('gives back the uploads it was writing to', async () => {
    const [, reader, other] = await registry.connections()
    const location = String((await other!.call('POST', '/v2/left/app/blobs/uploads/')).headers.location)
    const content = randomBytes(900_000)
    const stuck = reader!
      .call('PATCH', location, { body: content, headers: { 'Content-Length': '1000000' } })
      .catch(() => undefined)
    await eventually(async () => (await other!.call('GET', location)).headers.range !== '0-0') // it writes
    assert.equal((await other!.call('PATCH', location)).status, 416)
    await kill(1)
    await stuck
    const size = Number(/\d+$/.exec(String((await other!.call('GET', location)).headers.range))![0]) + 1
    const rest = await eventually(async () => {
      const reply = await other!.call('PATCH', location, { body: content.subarray(size === 1 ? 0 : size) })
      return reply.status === 202 ? reply : undefined
    })
    const closed = await other!.call('PUT', `${rest.headers.location}&digest=${digestOf(content)}`)
    assert.equal(closed.status, 201, String(closed.body))
    assert.ok((await other!.call('GET', `/v2/left/app/blobs/${digestOf(content)}`)).body.equals(content))
    await registry.started(starts)
    for (const one of [reader!, other!]) one.close()
  })
})

/** A process that nobody has waited for is not alive. */
function isAlive(pid: number): boolean {
  const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : 'State:\tZ'
  return !/State:\s+[ZX]/.test(status)
}

describe('any of three processes and their supervisor, killed under load', () => {
  it('lose no acknowledged push and serve no wrong byte', async () => {
    const random = createRandom(7)
    const found = noFindings()
    const temporary = await mkdtemp(join(tmpdir(), 'holdfast-crashes-'))
    const env = { TMPDIR: temporary }
    let registry = await startTogether(3, { env })
    const { data } = registry
    let starts = 3
    for (let trial = 0; trial < 8; trial++) {
      const ledger = createLedger()
      const load = startLoad(registry.url, ledger, random)
      const enough = 20 + Math.floor(random() * 20)
      const until = Date.now() + 20_000
      // A client whose process dies leaves off, as it does when all is gone.
      while (ledger.acknowledged.length < enough && Date.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 2))
      const victim = trial % 4
      if (victim < 3) {
        process.kill(registry.pids()[victim]!, 'SIGKILL')
        await registry.started(++starts)
        await load.stop()
      } else {
        const children = childrenOf(registry.pid)
        await registry.stop('SIGKILL')
        await load.stop()
        registry = await startTogether(3, { data, env })
        starts = 3
        for (const pid of children) assert.ok(!isAlive(pid), `${pid} has outlived its supervisor`)
        assert.deepEqual(readdirSync(temporary).length, 1) // the folder of the next one
      }
      const client = createClient(registry.url)
      await verify(client, ledger, found)
      client.close()
      assert.ok(ledger.acknowledged.length >= 10, `only ${ledger.acknowledged.length} pushes in trial ${trial}`)
      found.details.push(...ledger.refused.filter((refusal) => !/ 503| undefined/.test(refusal)))
    }
    assert.deepEqual(found, nothingFound)
    await registry.dispose()
    assert.deepEqual(readdirSync(temporary), [])
    await rm(temporary, { recursive: true })
  })
})

it('a supervisor whose first process cannot start says why, once, and ends', async () => {
  const registry = await startRegistry({ env: { HOLDFAST_PROCESSES: '2' } })
  await assert.rejects(
    startRegistry({ data: registry.data, env: { HOLDFAST_PROCESSES: '2' } }),
    (error: Error) =>
      /another Holdfast is using it/.test(error.message) && error.message.match(/holdfast: Cannot open/g)!.length === 1,
  )
  await registry.dispose()
})

it('a process that hangs is replaced, the one that writes too', async () => {
  const registry = await startTogether(2)
  const [connection] = await registry.connections()
  const before = registry.pids()
  for (const pid of before) process.kill(pid, 'SIGSTOP')
  await eventually(() => registry.pids().every((pid) => !before.includes(pid)), 60_000)
  await eventually(
    () =>
      fetch(`${registry.url}/v2/_catalog`).then(
        ({ ok }) => ok,
        () => false,
      ),
    20_000,
  )
  assert.equal(registry.errors().match(/process\.hangs/g)?.length, 2)
  connection!.close()
  await registry.dispose()
})
