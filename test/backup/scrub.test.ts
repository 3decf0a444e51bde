import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { adminPassword, useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { configurationFor } from '../support/configuration.ts'
import { holdfast } from '../support/holdfast.ts'
import { pushBlob, sha256 } from '../support/registry.ts'
import { backUpTo, blobFiles, placeAt, useFolder } from './tools.ts'

const backup = await useFolder()
const registry = await useAccounts((configuration) => {
  configuration.scrub.repairFrom = backup
  configuration.http.debug = { address: { host: '127.0.0.1', port: 0 }, metricsPath: '/metrics' }
})
const { must, api, url, root, push, folder, debugPort } = registry
const data = join(folder, 'data')
const main = join(import.meta.dirname, '../../src/main.ts')

async function scrub(body: object = {}) {
  const { id } = await must('POST /scrubs', { body })
  return eventually(async () => {
    const report = await must(`GET /scrubs/${id}`)
    return report.state === 'done' && report
  })
}
/** Damages the file of a blob; without text it is removed. */
async function harm(digest: string, text?: string): Promise<void> {
  const file = (await blobFiles(data)).find((path) => path.includes(digest.slice(7)))!
  await (text === undefined ? rm(file) : writeFile(file, text))
}
const pull = async (digest: string) => {
  const reply = await registry.registry(`GET /acme/app/blobs/${digest}`, root)
  return { status: reply.status, text: await reply.text() }
}

describe('a scrub that is asked for', () => {
  it('takes good bytes from the backup, also of what is gone', async () => {
    await push('acme/app', root)
    const [one, two] = [
      await pushBlob(url, 'acme/app', Buffer.from('one'), root),
      await pushBlob(url, 'acme/app', Buffer.from('two'), root),
    ]
    await backUpTo(await placeAt(backup), configurationFor(data))
    await harm(one, '0ne')
    await harm(two)
    const report = await scrub()
    assert.deepEqual([report.repaired, report.quarantined, report.missing], [2, 0, 0])
    assert.deepEqual(
      [await pull(one), await pull(two)],
      [
        { status: 200, text: 'one' },
        { status: 200, text: 'two' },
      ],
    )
    assert.match(registry.logged(), /blob.quarantined.*\n(.*\n)*.*blob.repaired/)
    assert.equal(await readFile(join(data, 'holdfast/quarantine', one), 'utf8'), '0ne')
    const metrics = await (await fetch(`http://127.0.0.1:${debugPort}/metrics`)).text()
    assert.match(metrics, /holdfast_scrub_blobs_total\{outcome="repaired"\} 2/)
    assert.equal((await scrub()).repaired, 0)
    const alerts = (await registry.metadata.events.after(0, 1000)).filter((event) => event.type === 'alert')
    assert.deepEqual(
      alerts.map(({ what, detail }) => [what, detail]).toSorted(),
      [one, two]
        .map((digest) => ['blob.repaired', { digest, size: 3, repositories: ['acme/app'] }])
        .toSorted(([, a], [, b]) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    )
  })

  it('serves nothing that it cannot mend, until it is pushed again', async () => {
    const bytes = Buffer.from('three')
    await pushBlob(url, 'acme/app', bytes, root)
    await harm(sha256(bytes), 'thr3e')
    await pushBlob(url, 'acme/other', Buffer.from('other'), root)
    assert.equal((await scrub({ repository: 'acme/other' })).blobs, 1)
    const report = await scrub({ repository: 'acme/app' })
    assert.deepEqual([report.quarantined, report.repaired], [1, 0])
    assert.equal((await pull(sha256(bytes))).status, 404)
    assert.equal((await scrub()).missing, 1)
    await pushBlob(url, 'acme/app', bytes, root)
    assert.equal((await pull(sha256(bytes))).text, 'three')
    const healed = await scrub()
    assert.deepEqual([healed.missing, healed.quarantined], [0, 0])
  })

  it('does not take bytes from a backup that is damaged as well', async () => {
    const bytes = Buffer.from('four')
    const digest = await pushBlob(url, 'acme/app', bytes, root)
    await backUpTo(await placeAt(backup), configurationFor(data))
    const copy = (await blobFiles(backup)).find((path) => path.includes(digest.slice(7)))!
    await writeFile(copy, 'f0ur')
    await harm(digest, 'fou4')
    assert.equal((await scrub()).quarantined, 1)
    assert.equal((await pull(digest)).status, 404)
    assert.match(registry.logged(), /blob.not-repaired.*damaged as well/)
    assert.deepEqual(await readdir(join(data, 'holdfast/uploads')).catch(() => []), [])
    await writeFile(copy, bytes)
    assert.equal((await scrub()).repaired, 1)
  })

  it('is a matter of administrators, and a verb that waits', async () => {
    assert.equal((await api('POST /scrubs', { as: '', body: {} })).status, 401)
    assert.equal((await api('GET /scrubs/none')).status, 404)
    const home = await useFolder()
    const env = { ...process.env, DOCKER_CONFIG: home, XDG_CONFIG_HOME: home, HOLDFAST_URL: url }
    async function run(args: string[], input = '') {
      const child = spawn(process.execPath, [main, ...args], { env, timeout: 30_000 })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
      child.stdin.end(input)
      const [code] = await once(child, 'close')
      return { code, output }
    }
    const login = await run(['login', url, '-u', 'root', '--password-stdin'], adminPassword)
    assert.equal(login.code, 0, login.output)
    const { code, output } = await run(['admin', 'scrub'])
    assert.equal(code, 0, output)
    assert.match(output, /done/)
  })

  it('leaves what was moved aside for fsck to list', async () => {
    await registry.close()
    const { code, output } = await holdfast('fsck', '--data', data)
    assert.match(output, /holdfast\/quarantine\/sha256:\w+: 3 bytes that were moved aside as damaged/)
    assert.deepEqual([code, output.endsWith('nothing is wrong\n')], [0, true], output)
  })
})
