import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { adminPassword, basic } from '../support/accounts.ts'
import { commandLine } from '../support/command-line.ts'
import { startTogether, type Together } from '../support/processes.ts'
import { imageType, pushImage, sha256 } from '../support/registry.ts'

const root = basic('root', adminPassword)

describe('rules for tags, with three processes and the command line', () => {
  let folder: string
  let registry: Together
  let env: NodeJS.ProcessEnv
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-rules-'))
    env = { ...process.env, DOCKER_CONFIG: join(folder, 'docker'), XDG_CONFIG_HOME: join(folder, 'config') }
    registry = await startTogether(3, {
      data: join(folder, 'data'),
      env: { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword, HOLDFAST_GC_KEEPPULLED: '0s' },
    })
    await must(['login', registry.host, '-u', 'root', '--password-stdin'], adminPassword)
    await must(['org', 'create', 'acme'])
  })
  after(async () => {
    await registry.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  const { holdfast, must } = commandLine(() => env)
  const push = (repository: string, tag: string, text = tag) =>
    pushImage(registry.url, repository, tag, [Buffer.from(text)], root)

  it('hold in all processes from when they were set, and let one of many pushes at once win', async () => {
    const connections = await registry.connections()
    const manifests = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => (await push('acme/race', `x${index}`)).manifest),
    )
    const put = (index: number, tag: string) =>
      connections[index % 3]!.call('PUT', `/v2/acme/race/manifests/${tag}`, {
        body: manifests[index]!,
        headers: { 'Content-Type': imageType, Authorization: root },
      })
    for (let round = 0; round < 5; round++) {
      const tag = `v${round}`
      assert.equal((await put(round, tag)).status, 201)
      await must(
        ['policy', 'set', 'immutability', 'acme/*', '-'],
        JSON.stringify({ rules: [{ tags: [`v${round}`, 'r*'] }] }),
      )
      for (let index = round + 1; index < 6; index++)
        assert.equal((await put(index, tag)).status, 403, `${tag} ${index}`)
      const statuses = await Promise.all(manifests.map(async (_, index) => (await put(index, `r${round}`)).status))
      assert.deepEqual(statuses.toSorted(), [201, 403, 403, 403, 403, 403])
    }
    for (const connection of connections) connection.close()
    assert.match(await must(['policy', 'show', 'immutability', 'acme/*']), /"r\*"/)
    assert.match(await must(['policy', 'ls']), /immutability {2}acme\/\*/)
    await must(['policy', 'rm', 'immutability', 'acme/*'])
    assert.equal((await holdfast(['policy', 'show', 'immutability', 'acme/*'])).code, 5)
    assert.equal((await holdfast(['policy', 'show', 'other', 'acme/*'])).code, 2)
  })

  it('lock tags, and let them go', async () => {
    const { digest } = await push('acme/tags', 'v1')
    await push('acme/tags', 'v2', 'two')
    assert.match(await must(['tag', 'lock', 'acme/tags:v1']), /deny/)
    await assert.rejects(push('acme/tags', 'v1', 'moved'), /403/)
    for (const args of [
      ['rm', 'acme/tags:v1'],
      ['tag', 'restore', 'acme/tags:v1', sha256('none')],
      ['tag', 'restore', 'acme/tags:v1', (await push('acme/tags', 'v3')).digest],
    ]) {
      const { code, errors } = await holdfast(args)
      assert.equal(code, args.includes(sha256('none')) ? 5 : 6, errors)
    }
    assert.match(await must(['tag', 'show', 'acme/tags:v1', '-o', 'json']), new RegExp(digest))
    await must(['tag', 'unlock', 'acme/tags:v1'])
    assert.equal((await holdfast(['tag', 'unlock', 'acme/tags:v1'])).code, 5)
    assert.match(await must(['tag', 'expire', 'acme/tags:v1', 'in', '14d']), /EXPIRES BY +root/)
    await must(['tag', 'expire', 'acme/tags:v1', 'at', '2040-01-01'])
    assert.match(await must(['tag', 'show', 'acme/tags:v1']), /2040-01-01T00:00:00.000Z/)
    await must(['tag', 'expire', 'acme/tags:v1', 'never'])
    for (const words of [['soon'], ['in'], ['at', 'x'], []])
      assert.equal((await holdfast(['tag', 'expire', 'acme/tags:v1', ...words])).code, 2)
  })

  it('show what retention would do, and do it', async () => {
    for (const tag of ['v1', 'pr-1', 'pr-2']) await push('acme/keep', tag)
    const file = join(folder, 'rules.json')
    await writeFile(file, JSON.stringify({ rules: [{ name: 'requests', action: 'expire', tags: ['pr-*'] }] }))
    await must(['policy', 'set', 'retention', 'acme/keep', file])
    const { out, errors } = await holdfast(['retention', 'preview', 'acme/keep'])
    assert.match(out, /pr-1 .*expire +requests of acme\/keep/)
    const plan = /holdfast retention apply acme\/keep (\S+)/.exec(errors)?.[1] ?? ''
    assert.match(await must(['retention', 'preview', '--org', 'acme']), /acme\/keep +1 +2 +2/)
    await push('acme/keep', 'pr-3')
    assert.equal((await holdfast(['retention', 'apply', 'acme/keep', plan])).code, 6)
    const next = JSON.parse(await must(['retention', 'preview', 'acme/keep', '-o', 'json'])).id
    assert.match(await must(['retention', 'apply', 'acme/keep', next]), /TAGS +3/)
    assert.match(await must(['retention', 'history', 'acme/keep']), /applied +3/)
    assert.match(await must(['retention', 'history', '--org', 'acme']), /applied +3/)
    assert.match(await must(['tag', 'ls', 'acme/keep', '-o', 'name']), /^v1$/)
    assert.equal((await holdfast(['policy', 'set', 'retention', 'acme/keep', '-'], '{"rules": 1}')).code, 2)
  })
})
