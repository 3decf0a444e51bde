import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { adminPassword, basic } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { createConnection, startTogether } from '../support/processes.ts'
import { pushImage } from '../support/registry.ts'

const count = 3

/** Three processes with this below `holdfast`, and a connection to each. */
async function together(holdfast: object) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-counters-'))
  const file = join(folder, 'config.yml')
  const configuration = { version: '0.1', storage: { filesystem: {} }, http: { addr: '127.0.0.1:0' }, holdfast }
  await writeFile(file, JSON.stringify(configuration))
  const env = { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword }
  const registry = await startTogether(count, { file, env })
  const connections = await registry.connections()
  after(async () => {
    for (const connection of connections) connection.close()
    await registry.dispose()
    await rm(folder, { recursive: true, force: true })
  })
  return { registry, connections }
}

const amountOf = (statuses: number[], status: number) => statuses.filter((one) => one === status).length

describe('what several processes count together', () => {
  it('is a limit of pulls, exactly', async () => {
    const { registry, connections } = await together({
      access: 'public-read',
      ratelimits: { pulls: { anonymous: 10 } },
    })
    await pushImage(registry.url, 'app', 'v1', [Buffer.from('a layer')], basic('root', adminPassword))
    const path = '/v2/app/manifests/v1'
    const headers = { Accept: '*/*' }
    const replies = await Promise.all(
      connections.flatMap(({ call }) => Array.from({ length: 5 }, () => call('GET', path, { headers }))),
    )
    const statuses = replies.map(({ status }) => status)
    assert.deepEqual([amountOf(statuses, 200), amountOf(statuses, 429)], [10, 5])
    const left = replies.filter(({ status }) => status === 200).map(({ headers: all }) => all['ratelimit-remaining'])
    assert.equal(new Set(left).size, 10, 'each took another one')
    for (const { call } of connections)
      assert.equal((await call('HEAD', path, { headers })).headers['ratelimit-remaining'], '0;w=21600')
  })

  it('are failed sign-ins, so that new connections give no new tries', async () => {
    const { registry, connections } = await together({ access: 'closed' })
    const attempt = ({ call }: (typeof connections)[number], password: string) =>
      call('GET', '/api/v1/me', { headers: { Authorization: basic('root', password) } })
    const tries = await Promise.all(
      connections.flatMap((one, index) => Array.from({ length: 4 }, (_, i) => attempt(one, `wrong ${index} ${i}`))),
    )
    const statuses = tries.map(({ status }) => status)
    // Five cost nothing; the sixth begins the first pause.
    assert.deepEqual([amountOf(statuses, 401), amountOf(statuses, 429)], [6, 6])
    for (let i = 0; i < 2 * count; i++) {
      const fresh = createConnection(registry.url)
      const { status, headers } = await attempt(fresh, adminPassword)
      fresh.close()
      // The right password is not looked at either; the pause of a second may be over by the last ones.
      assert.ok(status === 429 ? Number(headers['retry-after']) > 0 : i > 0 && status === 200, `${i}: ${status}`)
      if (status === 200) break
    }
  })

  it('are wrong passwords by address', async () => {
    const { registry, connections } = await together({
      access: 'closed',
      ratelimits: { failedlogins: { address: 4 } },
    })
    const attempt = async ({ call }: (typeof connections)[number], i: number) =>
      (await call('GET', '/api/v1/me', { headers: { Authorization: basic(`user${i}`, 'wrong') } })).status
    for (let i = 0; i < 4; i++) assert.equal(await attempt(connections[i % count]!, i), 401)
    // An answer is counted when it is out, which a client may be faster than.
    await eventually(async () => (await attempt(connections[1]!, 4)) === 429)
    for (const connection of connections) assert.equal(await attempt(connection, 5), 429)
    const fresh = createConnection(registry.url)
    assert.equal(await attempt(fresh, 7), 429)
    fresh.close()
  })
})
