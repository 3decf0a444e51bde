import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { eventually } from '../support/app.ts'
import { type Connection, startTogether, type Together } from '../support/processes.ts'

describe('the debug listener of several processes', () => {
  let folder: string
  let registry: Together
  let connections: Connection[]
  let debug: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-watched-'))
    const file = join(folder, 'config.yml')
    await writeFile(
      file,
      `version: 0.1\nhttp: { debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } }\nhealth: { file: [{ file: ${folder}/down, interval: 100ms }] }\n`,
    )
    registry = await startTogether(3, { file })
    connections = await registry.connections()
    debug = `http://${/registry\.debug-listening address=(\S+)/.exec(registry.errors())![1]}`
  })
  after(async () => {
    for (const connection of connections) connection.close()
    await registry.dispose()
    await rm(folder, { recursive: true })
  })
  const statuses = (path: string) => Promise.all(connections.map(async (one) => (await one.call('GET', path)).status))

  it('shows the sums of all', async () => {
    for (const [index, one] of connections.entries())
      for (let i = 0; i < 10 * (index + 1); i++) await one.call('GET', '/v2/none/such/tags/list')
    const text = await (await fetch(`${debug}/metrics`)).text()
    assert.match(text, /^registry_http_requests_total\{code="404",handler="tags",method="get"\} 60$/m)
    assert.match(text, /^registry_http_request_duration_seconds_count\{handler="tags",method="get"\} 60$/m)
    assert.match(text, /^registry_http_in_flight_requests\{handler="tags"\} 0$/m)
    const resident = Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)![1])
    assert.ok(resident > 150e6, `${resident} are not three processes`)
    assert.equal(text.match(/^process_max_fds /gm)!.length, 1)
  })

  it('takes all of them out of service by hand, and back', async () => {
    await fetch(`${debug}/debug/health/down`, { method: 'POST' })
    await eventually(async () => (await statuses('/readyz')).every((status) => status === 503))
    assert.deepEqual(await statuses('/v2/none/such/tags/list'), [503, 503, 503])
    await fetch(`${debug}/debug/health/up`, { method: 'POST' })
    await eventually(async () => (await statuses('/readyz')).every((status) => status === 200))
    assert.deepEqual(await statuses('/v2/none/such/tags/list'), [404, 404, 404])
  })

  it('tells all of them of a check that fails, and a new writer of one that does no more', async () => {
    await writeFile(join(folder, 'down'), '')
    await eventually(async () => (await statuses('/healthz')).every((status) => status === 503))
    await rm(join(folder, 'down'))
    await eventually(async () => (await statuses('/healthz')).every((status) => status === 200))
    await fetch(`${debug}/debug/health/down`, { method: 'POST' })
    await eventually(async () => (await statuses('/healthz')).every((status) => status === 503))
    process.kill(registry.pids()[0]!, 'SIGKILL')
    const [, ...others] = connections
    await eventually(async () => {
      const replies = await Promise.all(others.map((one) => one.call('GET', '/readyz')))
      return replies.every(({ status }) => status === 200)
    })
    assert.equal(registry.errors().match(/health\.failing check=\S*\/down/g)!.length, 1)
  })
})
