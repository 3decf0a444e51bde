import assert from 'node:assert/strict'
import { spawn, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadConfiguration } from '../../src/config/load.ts'
import { withConfigFile } from '../support/config-file.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

/** Runs the real program to its end, without our own variables. */
function holdfast(args: string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
  const own = { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env }
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 20_000, env: own })
}

describe('holdfast config', () => {
  it('check ends with 0 and names what is honoured and what is not', async () => {
    const text = 'version: 0.1\nlog: {level: warn}\nhttp: {secret: hush}\nredis: {addr: "x:1"}\n'
    await withConfigFile(text, async (file) => {
      const { status, stdout } = holdfast(['config', 'check', file])
      assert.equal(status, 0)
      assert.match(stdout, /^ok +.*:2: log\.level$/m)
      assert.match(stdout, /^unused +.*:3: http\.secret is passed over/m)
      assert.match(stdout, /^warning +.*:4: redis is passed over/m)
      assert.match(stdout, /0 errors, 1 warning\.$/m)
      assert.ok(!stdout.includes('hush'))
    })
  })

  it('check ends with 1 and names each error with its line', async () => {
    await withConfigFile('version: 0.1\nhttp: {addr: x}\nauth: {htpaswd: {}}\n', async (file) => {
      const { status, stdout, stderr } = holdfast(['config', 'check', file])
      assert.equal(status, 1)
      assert.match(stdout, new RegExp(`^error +${file}:2: http\\.addr is "x": expected HOST:PORT`, 'm'))
      assert.match(stdout, new RegExp(`^error +${file}:3: .*did you mean auth\\.htpasswd\\?`, 'm'))
      assert.equal(stderr, '')
    })
  })

  it('show --origin tells the variable', () => {
    const { status, stdout } = holdfast(['config', 'show', '--origin'], { REGISTRY_HTTP_ADDR: ':5009' })
    assert.equal(status, 0)
    assert.match(stdout, /addr: ":5009" +# REGISTRY_HTTP_ADDR$/m)
  })

  it('init writes what check finds nothing in', async () => {
    await withConfigFile(holdfast(['config', 'init']).stdout, async (file) => {
      assert.match(holdfast(['config', 'check', file]).stdout, /0 errors, 0 warnings\.$/m)
    })
  })

  it('explain and schema answer', () => {
    assert.match(holdfast(['config', 'explain', 'http.addr']).stdout, /^http\.addr\n/)
    assert.equal(JSON.parse(holdfast(['config', 'schema']).stdout).properties.http.type[0], 'object')
    assert.match(holdfast(['config', 'explain', 'http.adr']).stderr, /did you mean http\.addr\?/)
  })

  it('says its version', () => {
    assert.match(holdfast(['--version']).stdout, /^holdfast \d+\.\d+\.\d+ \(Node v\d+/)
  })

  it('helps', () => {
    assert.match(holdfast(['config', '--help']).stdout, /check \[CONFIG\]/)
    const { status, stderr } = holdfast(['config', 'chekc'])
    assert.deepEqual([status, stderr.split('\n')[0]], [2, 'holdfast: unknown command "config chekc"'])
  })

  it('ends with 2 where it was not asked for what it knows: 1 has a meaning to some commands', () => {
    for (const line of [
      ...['chekc', 'backup', 'backup verify --foo', 'fsck --foo', 'reindex --foo', 'reindex a b', 'serve a b'],
      ...[
        'config show a b',
        'garbage-collect a b',
        'healthcheck a b',
        'keys rewarp',
        'keys export pem',
        'keys renew a b',
      ],
    ])
      assert.equal(holdfast(line.split(' ')).status, 2, line)
  })
})

describe('holdfast serve', () => {
  it('starts nothing with a broken file, and says all that is wrong', async () => {
    const text =
      'version: 0.1\nstorage: {filesystem: {rootdirectory: /proc/nothing}}\nhttp: {addr: x}\nlog: {level: loud}\n'
    await withConfigFile(text, async (file) => {
      const { status, stdout, stderr } = holdfast(['serve', file])
      assert.deepEqual([status, stdout], [1, ''])
      assert.deepEqual(stderr.trim().split('\n'), [
        'holdfast: Cannot use the configuration:',
        `  ${file}:3: http.addr is "x": expected HOST:PORT such as 127.0.0.1:5000 or :5000`,
        `  ${file}:4: log.level is "loud": expected debug, info, warn or error`,
      ])
    })
  })

  it('does not load the YAML reader without a file, nor for plain variables', () => {
    const env = {
      REGISTRY_HTTP_ADDR: ':5000',
      REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
      REGISTRY_LOG_LEVEL: 'info',
    }
    const program = `
      const { loadConfiguration } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/config/load.ts'))})
      const { registerHooks } = await import('node:module')
      registerHooks({ load(url, context, next) { console.log(url); return next(url, context) } })
      await loadConfiguration({ env: ${JSON.stringify({ ...env, REGISTRY_AUTH_HTPASSWD_PATH: '/h' })} })`
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    })
    assert.deepEqual([status, stderr, stdout], [0, '', ''])
  })

  it('throws away what was kept in memory', async () => {
    const env = { ...process.env, REGISTRY_STORAGE: 'inmemory', REGISTRY_HTTP_ADDR: '127.0.0.1:0' }
    const child = spawn(process.execPath, [main, 'serve'], { env, stdio: 'pipe' })
    const ended = once(child, 'exit')
    let output = ''
    const listening = await new Promise<RegExpExecArray>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          output += chunk.toString()
          const found = / registry\.listening address=(\S+) data=(\S+)/.exec(output)
          if (found) resolve(found)
        })
      child.once('exit', () => reject(new Error(`the server ended: ${output}`)))
    })
    const [, address, folder = ''] = listening
    assert.ok(existsSync(folder))
    assert.equal((await fetch(`http://${address}/v2/`)).status, 200)
    child.kill()
    assert.deepEqual(await ended, [0, null])
    assert.ok(!existsSync(folder))
  })
})

/** Files that people start registries with: where from, the file, and what must be in the configuration. */
describe('the file of', () => {
  const files: Record<string, string> = {
    "registry:2's image": `version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`,
    "registry:3's image": `version: 0.1
log:
  level: debug
  fields:
    service: registry
    environment: development
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  tag:
    concurrencylimit: 5
http:
  addr: :5000
  debug:
    addr: :5001
    prometheus:
      enabled: true
      path: /metrics
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`,
    'a guide': `version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
auth:
  htpasswd:
    realm: basic-realm
    path: /auth/htpasswd
`,
  }
  for (const [name, text] of Object.entries(files))
    it(`${name} is taken, with a line about the cache at most`, async () => {
      await withConfigFile(text, async (file) => {
        const { configuration, warnings } = await loadConfiguration({ file, env: {} })
        assert.deepEqual(configuration.http.address, { host: '::', port: 5000 })
        assert.equal(configuration.storage.root, '/var/lib/registry')
        assert.deepEqual(
          warnings.filter((warning) => !warning.includes('storage.cache.blobdescriptor is passed over')),
          [],
        )
        if (name === 'a guide') assert.equal(configuration.auth?.kind, 'htpasswd')
        else assert.equal(configuration.health.storage.threshold, 3)
      })
    })
})
