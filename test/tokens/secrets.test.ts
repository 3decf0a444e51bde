import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, it } from 'node:test'
import type { WrappingKey } from '../../src/config/encryption.ts'
import { commandLine } from '../support/command-line.ts'
import { startOther } from '../support/other-registry.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { need } from '../support/programs.ts'
import { startRegistry } from '../support/registry.ts'
import { ann, bearer, jsonOf, useTokenApp } from './tools.ts'

const scope = 'repository:team/app:pull'
const one: WrappingKey = { id: 'one', kind: 'key', key: '11'.repeat(32) }
const two: WrappingKey = { id: 'two', kind: 'key', key: '22'.repeat(32) }
const wrongOne: WrappingKey = { id: 'one', kind: 'key', key: '33'.repeat(32) }

const folder = await mkdtemp(join(tmpdir(), 'holdfast-secrets-'))
after(() => rm(folder, { recursive: true }))
const { holdfast, must } = commandLine(() => ({ ...process.env }))

/** All that the vault of a database in this folder keeps. */
function vaultOf(data: string) {
  const database = new DatabaseSync(join(data, 'holdfast/holdfast.db'), { readOnly: true })
  try {
    return database.prepare('select kind, id, text from vault order by kind, id').all() as Record<string, string>[]
  } finally {
    database.close()
  }
}

const signingKeys = (data: string) => vaultOf(data).flatMap(({ kind, text }) => (kind === 'token-key' ? [text!] : []))

async function configFile(name: string, data: string, more: string): Promise<string> {
  const file = join(folder, name)
  const text = `version: 0.1\nhttp: {addr: "127.0.0.1:0"}\nstorage: {filesystem: {rootdirectory: ${data}}}\n${more}\n`
  await writeFile(file, text)
  return file
}

describe('signing keys in the database', () => {
  it('are encrypted once there is a key, stay the same, and are in no hand without it', async () => {
    const own = await mkdtemp(join(folder, 'registry-'))
    const data = join(own, 'data')
    const open = (secretKeys: WrappingKey[]) =>
      useTokenApp((configuration) => Object.assign(configuration, { secretKeys }), own)
    const plain = await open([])
    const [jwks, token] = [(await plain.get('/token/jwks')).body.toString(), await plain.token(scope)]
    await plain.close(0)
    assert.ok(signingKeys(data).every((text) => text.includes('PRIVATE KEY')))

    const sealed = await open([one])
    assert.ok(signingKeys(data).every((text) => text.startsWith('sealed:1:')))
    assert.equal((await sealed.get('/token/jwks')).body.toString(), jwks)
    assert.equal((await sealed.get('/v2/', bearer(token))).status, 200)
    // Keys to come are encrypted as well.
    await sealed.runJobs()
    sealed.passSeconds(89.5 * 86_400)
    await sealed.runJobs()
    assert.equal(signingKeys(data).length, 3)
    assert.ok(!JSON.stringify(vaultOf(data)).includes('PRIVATE KEY'))
    await sealed.close(0)

    const before = vaultOf(data)
    for (const [keys, message] of [
      [[], /^Cannot read secrets in the database: they are encrypted; name their keys in holdfast\.secrets\.keys$/],
      [[wrongOne], /^Cannot use the key "one" of holdfast\.secrets\.keys: it is another key than the one secrets/],
      [
        [two],
        /^Cannot use the key "one" of holdfast\.secrets\.keys: it is missing, and secrets in the database are enc/,
      ],
    ] as const) {
      await assert.rejects(open([...keys]), { message })
      assert.deepEqual(vaultOf(data), before)
    }
    const again = await open([one])
    assert.equal(jsonOf<{ keys: unknown[] }>(await again.get('/token/jwks')).keys.length, 4)
  })

  it('are thrown away where their key is lost, and made anew', async () => {
    const own = await mkdtemp(join(folder, 'registry-'))
    const open = (secretKeys: WrappingKey[]) =>
      useTokenApp((configuration) => Object.assign(configuration, { secretKeys }), own)
    const before = await open([one])
    const token = await before.token(scope)
    await before.close(0)
    await assert.rejects(open([two]), /it is missing/)
    assert.match(await must(['keys', 'renew', '--data', join(own, 'data')]), /^The next start makes new keys/)
    const after = await open([two])
    assert.equal((await after.get('/v2/', bearer(token))).status, 401)
    assert.equal((await after.get('/v2/', bearer(await after.token(scope)))).status, 200)
  })

  it('are thrown away while a registry runs that looks for them before it is restarted', async () => {
    const own = await mkdtemp(join(folder, 'registry-'))
    const data = join(own, 'data')
    const open = () => useTokenApp((configuration) => Object.assign(configuration, { secretKeys: [one] }), own)
    const running = await open()
    const token = await running.token(scope)
    await must(['keys', 'renew', '--data', data])
    running.passSeconds(7200)
    const [header = '', ...rest] = (await running.token(scope)).split('.')
    const stranger = { ...JSON.parse(Buffer.from(header, 'base64url').toString()), kid: 'nobody knows it' }
    const unknown = [Buffer.from(JSON.stringify(stranger)).toString('base64url'), ...rest].join('.')
    assert.equal((await running.get('/v2/', bearer(unknown))).status, 401)
    await running.runJobs()
    assert.match(running.logged(), /their key was thrown away since this process started; restart it/)
    assert.equal((await running.get('/v2/', bearer(await running.token(scope)))).status, 200)
    await running.close(0)
    assert.deepEqual(vaultOf(data), [])
    const after = await open()
    assert.equal((await after.get('/v2/', bearer(token))).status, 401)
    assert.equal((await after.get('/v2/', bearer(await after.token(scope)))).status, 200)
  })

  it('are made anew where those of before were thrown away by half', async () => {
    const own = await mkdtemp(join(folder, 'registry-'))
    const before = await useTokenApp(() => {}, own)
    const token = await before.token(scope)
    await before.close(0)
    const database = new DatabaseSync(join(own, 'data/holdfast/holdfast.db'))
    database.exec(`delete from vault where kind = 'token-key' and id = 'authority'`)
    database.close()
    const after = await useTokenApp(() => {}, own)
    const authority = new X509Certificate((await after.get('/token/certificates')).body)
    const { keys } = jsonOf<{ keys: { x5c: string[] }[] }>(await after.get('/token/jwks'))
    for (const { x5c } of keys)
      assert.ok(new X509Certificate(Buffer.from(x5c[0]!, 'base64')).verify(authority.publicKey))
    assert.equal((await after.get('/v2/', bearer(token))).status, 401)
    assert.equal((await after.get('/v2/', bearer(await after.token(scope)))).status, 200)
  })

  it('are told to be damaged where somebody changed them, or put one in the place of another', async () => {
    const own = await mkdtemp(join(folder, 'registry-'))
    const open = () => useTokenApp((configuration) => Object.assign(configuration, { secretKeys: [one] }), own)
    await (await open()).close(0)
    const database = new DatabaseSync(join(own, 'data/holdfast/holdfast.db'))
    database.exec(
      `update vault set text = (select text from vault where id = 'key-000001') where kind = 'token-key' and id = 'authority'`,
    )
    database.close()
    await assert.rejects(open(), /Cannot read token-key authority in the database: it is damaged/)
  })

  it('go over to another key while registries run, of one process or several', async () => {
    const data = join(folder, 'several')
    const key = join(folder, 'one.key')
    await writeFile(key, '11'.repeat(32))
    const service = join(folder, 'service.sh')
    // A key service that is a file: what it wraps it can unwrap.
    const turn = `openssl enc -$1 -aes-256-cbc -pbkdf2 -nosalt -pass pass:x -A -base64`
    await writeFile(
      service,
      `#!/bin/sh\nread in\ncase $1 in wrap) echo "$in" | base64 -d | ${turn.replace('-$1', '-e')} && echo ;; unwrap) echo "$in" | ${turn.replace('-$1', '-d')} | base64 -w0 && echo ;; esac\n`,
    )
    await chmod(service, 0o755)
    const tokens = 'tokens: {enabled: true}, access: public-read'
    const old = `{id: old, file: ${key}}`
    const next = `{id: next, command: [${service}]}`
    const before = await configFile('before.yml', data, `holdfast: {${tokens}, secrets: {keys: [${old}]}}`)
    const both = await configFile('both.yml', data, `holdfast: {${tokens}, secrets: {keys: [${next}, ${old}]}}`)
    const later = await configFile('later.yml', data, `holdfast: {${tokens}, secrets: {keys: [${next}]}}`)
    const env = { HOLDFAST_PROCESSES: '2' }
    const jwksOf = async (url: string) => (await fetch(`${url}/token/jwks`)).text()

    const first = await startRegistry({ file: before, data, env })
    const jwks = await jwksOf(first.url)
    assert.ok(signingKeys(data).every((text) => text.startsWith('sealed:1:')))
    assert.equal(await must(['keys', 'export', 'jwks', before]), jwks)
    const wrapped = await must(['keys', 'rewrap', both])
    assert.match(wrapped, /^1 key of the database wrapped anew, all are by "next" now\nno longer needed: "old"$/)
    assert.match(await must(['keys', 'rewrap', both]), /^0 keys of the database/)
    assert.equal(await jwksOf(first.url), jwks)
    await first.stop()
    const refused = await holdfast(['serve', before])
    assert.equal(refused.code, 1)
    assert.match(refused.errors, /holdfast: Cannot use the key "next" of holdfast\.secrets\.keys: it is missing/)
    assert.ok(!refused.errors.includes('    at '))
    const second = await startRegistry({ file: later, data, env })
    assert.equal(await jwksOf(second.url), jwks)
    await second.stop()
  })

  it('are encrypted by nodes that start at once on one PostgreSQL', { skip: withoutPostgres }, async () => {
    const postgres = await startPostgres()
    after(() => postgres.dispose())
    const databaseUrl = await postgres.createDatabase()
    const open = () => useTokenApp((configuration) => Object.assign(configuration, { databaseUrl, secretKeys: [one] }))
    const nodes = await Promise.all([open(), open(), open()])
    const sets = await Promise.all(nodes.map(async (node) => (await node.get('/token/jwks')).body.toString()))
    assert.equal(new Set(sets).size, 1)
    assert.equal((await nodes[1]!.get('/v2/', bearer(await nodes[0]!.token(scope)))).status, 200)
    const rows = await postgres.execute<{ text: string }>(
      `select text from vault where kind = 'token-key'`,
      new URL(databaseUrl).pathname.slice(1),
    )
    assert.ok(rows.length === 2 && rows.every(({ text }) => text.startsWith('sealed:1:')))
  })
})

describe('holdfast keys export', () => {
  it('says what it can', async () => {
    assert.match((await holdfast(['keys', 'export', 'secrets'])).errors, /cannot export "secrets"\n\nUsage/)
    assert.match((await holdfast(['keys', 'rewrap', '--data', folder])).errors, /holdfast\.secrets\.keys are missing/)
  })

  for (const program of ['docker-registry', 'registry'] as const)
    it(`prints what ${program} trusts tokens by`, { skip: need(program) }, async () => {
      const own = await mkdtemp(join(folder, 'export-'))
      const bundle = join(own, 'bundle.pem')
      // Before a registry has ever run there.
      await writeFile(bundle, await must(['keys', 'export', 'certificates', '--data', join(own, 'data')]))
      const app = await useTokenApp((configuration) => (configuration.tokens!.services = [program]), own)
      const realm = `${app.url}/token`
      const auth = `auth: {token: {realm: "${realm}", service: ${program}, issuer: holdfast, rootcertbundle: ${bundle}}}`
      const other = await startOther(program, join(own, 'other'), auth)
      after(() => other.stop())
      const ask = async (service: string) => {
        const { token } = jsonOf<{ token: string }>(await app.get(`/token?service=${service}&scope=${scope}`, ann))
        return (await fetch(`${other.url}/v2/team/app/tags/list`, { headers: { Authorization: bearer(token) } })).status
      }
      assert.equal(await ask(program), 404)
      assert.equal(await ask('holdfast'), 401)
    })
})
