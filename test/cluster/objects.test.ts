import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { call, codesOf, digestOf, pathOf } from '../support/client.ts'
import { pull } from '../support/inventory.ts'
import { type Postgres, startPostgres, withoutPostgres } from '../support/postgres.ts'
import { need } from '../support/programs.ts'
import { pushImage, type RunningRegistry, startRegistry } from '../support/registry.ts'
import { s3Env, startS3 } from '../support/s3.ts'

const MiB = 1 << 20

describe('three nodes on one PostgreSQL and one bucket', { skip: withoutPostgres || need('versitygw') }, async () => {
  const server = await startS3()
  let postgres: Postgres
  let nodes: RunningRegistry[]
  let env: Record<string, string>
  before(async () => {
    postgres = await startPostgres()
    await server.makeBucket('shared')
    env = { ...s3Env(server.url, 'shared'), HOLDFAST_DATABASE_URL: await postgres.createDatabase() }
    nodes = []
    for (let i = 0; i < 3; i++) nodes.push(await startRegistry({ env }))
  })
  after(async () => {
    for (const node of nodes) await node.dispose()
    await postgres.dispose()
  })

  it('receive an upload whose chunks go to any of them', { timeout: 60_000 }, async () => {
    const bytes = randomBytes(21 * MiB)
    const cuts = [0, 1000, 9 * MiB, 9 * MiB + 5, 18 * MiB, bytes.length]
    let path = pathOf(await call(nodes[0]!.url, 'POST', '/v2/app/blobs/uploads/'))
    for (let i = 1; i < cuts.length; i++) {
      const [from, to] = [cuts[i - 1]!, cuts[i]!]
      const headers = { 'Content-Range': `${from}-${to - 1}` }
      const answer = await call(nodes[i % 3]!.url, 'PATCH', path, { headers, body: bytes.subarray(from, to) })
      assert.deepEqual([answer.status, answer.headers.range], [202, `0-${to - 1}`], String(answer.body))
      path = pathOf(answer)
    }
    const digest = digestOf(bytes)
    assert.equal((await call(nodes[1]!.url, 'PUT', `${path}&digest=${digest}`)).status, 201)
    for (const { url } of nodes) assert.ok((await call(url, 'GET', `/v2/app/blobs/${digest}`)).body.equals(bytes))
  })

  it('let one of two chunks at once through, and the upload comes to its end', { timeout: 60_000 }, async () => {
    const path = pathOf(await call(nodes[0]!.url, 'POST', '/v2/app/blobs/uploads/'))
    const chunks = [randomBytes(9 * MiB), randomBytes(9 * MiB)]
    const headers = { 'Content-Range': `0-${9 * MiB - 1}` }
    const answers = await Promise.all(
      chunks.map((body, i) => call(nodes[i]!.url, 'PATCH', path, { headers, body }).catch(() => undefined)),
    )
    const statuses = answers.map((answer) => answer?.status)
    assert.deepEqual(statuses.toSorted(), [202, 416])
    const won = statuses.indexOf(202)
    assert.deepEqual(codesOf(answers[1 - won]!), ['RANGE_INVALID'])
    const digest = digestOf(chunks[won]!)
    assert.equal((await call(nodes[2]!.url, 'PUT', `${path}&digest=${digest}`)).status, 201)
    assert.ok((await call(nodes[0]!.url, 'GET', `/v2/app/blobs/${digest}`)).body.equals(chunks[won]!))
  })

  it('go on with what a node received that was killed', { timeout: 60_000 }, async () => {
    const bytes = randomBytes(12 * MiB)
    const path = pathOf(await call(nodes[2]!.url, 'POST', '/v2/app/blobs/uploads/'))
    const answer = await call(nodes[2]!.url, 'PATCH', path, { body: bytes.subarray(0, 10 * MiB) })
    assert.equal(answer.status, 202)
    await nodes[2]!.stop('SIGKILL')
    const target = `${pathOf(answer)}&digest=${digestOf(bytes)}`
    assert.equal((await call(nodes[0]!.url, 'PUT', target, { body: bytes.subarray(10 * MiB) })).status, 201)
    await pushImage(nodes[0]!.url, 'app', 'v1', [bytes])
    await pull(nodes[1]!.url, 'app', 'v1')
    nodes[2] = await startRegistry({ env })
    await pull(nodes[2].url, 'app', 'v1')
  })
})
