import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { loadSettings } from './settings.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-settings-'))
after(() => rm(folder, { recursive: true }))

async function configFile(text: string): Promise<string> {
  const file = join(folder, `${randomUUID()}.yml`)
  await writeFile(file, text)
  return file
}

describe('the settings', () => {
  it('are those of a laptop when nothing is said', async () => {
    assert.deepEqual(await loadSettings({ env: {} }), {
      host: '127.0.0.1',
      port: 5000,
      data: resolve('data'),
      logLevel: 'info',
      warnings: [],
    })
  })

  it('come from a flag before a variable before the file', async () => {
    const file = await configFile(
      'version: 0.1\nhttp:\n  addr: :1\nstorage:\n  filesystem:\n    rootdirectory: /in/file\n',
    )
    const env = { REGISTRY_HTTP_ADDR: ':2', REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/in/env' }
    const from = async (sources: Partial<Parameters<typeof loadSettings>[0]>) => {
      const { port, data } = await loadSettings({ env: {}, ...sources })
      return [port, data]
    }
    assert.deepEqual(await from({ file }), [1, '/in/file'])
    assert.deepEqual(await from({ file, env }), [2, '/in/env'])
    assert.deepEqual(await from({ file, env, addr: ':3', data: '/in/flag' }), [3, '/in/flag'])
    assert.deepEqual(await from({ env: { REGISTRY_HTTP_ADDR: '' } }), [5000, resolve('data')])
  })

  for (const [addr, host, port] of [
    ['127.0.0.1:5000', '127.0.0.1', 5000],
    [':5000', '::', 5000],
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['localhost:80', 'localhost', 80],
    ['[::1]:5000', '::1', 5000],
    ['[::]:65535', '::', 65_535],
  ] as const) {
    it(`take the address ${addr}`, async () => {
      const settings = await loadSettings({ addr, env: {} })
      assert.deepEqual([settings.host, settings.port], [host, port])
    })
  }

  for (const addr of ['', '5000', 'localhost', '::1:5000', 'host:65536', 'host:-1', 'host:port', 'http://host:1']) {
    it(`refuse the address "${addr}" and say where it came from`, async () => {
      await assert.rejects(loadSettings({ addr, env: {} }), /Cannot use --addr ".*": expected HOST:PORT/)
    })
  }

  it('take the log level in any case, and no other word', async () => {
    assert.equal((await loadSettings({ env: { REGISTRY_LOG_LEVEL: 'WARN' } })).logLevel, 'warn')
    await assert.rejects(loadSettings({ env: { REGISTRY_LOG_LEVEL: 'loud' } }), /Cannot use REGISTRY_LOG_LEVEL "loud"/)
  })

  it('warn about what they do not honour', async () => {
    const file = await configFile('version: 0.1\nlog:\n  level: debug\nredis:\n  addr: x\nhttp:\n  headers: {a: [b]}\n')
    const { warnings, logLevel } = await loadSettings({ file, env: {} })
    assert.equal(logLevel, 'debug')
    assert.deepEqual(
      warnings.map((warning) => warning.slice(file.length + 2)),
      ['redis.addr is not honoured by this version', 'http.headers.a.0 is not honoured by this version'],
    )
  })

  for (const [what, text] of [
    ['that is not there', undefined],
    ['that is no YAML', 'a: [b'],
  ] as const) {
    it(`name a file ${what}`, async () => {
      const file = text === undefined ? join(folder, 'none.yml') : await configFile(text)
      await assert.rejects(loadSettings({ file, env: {} }), (error: Error) =>
        error.message.includes(`config ${file}: `),
      )
    })
  }
})
