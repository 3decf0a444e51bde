import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { connect } from 'node:tls'
import { eventually, type TestApp, useApp } from '../support/app.ts'
import { freePort, type Pebble, startPebble } from '../support/pebble.ts'
import { need } from '../support/programs.ts'

const skip = need('pebble', 'openssl')
const day = 86_400_000
const folder = await mkdtemp(join(tmpdir(), 'holdfast-acme-'))
after(() => rm(folder, { recursive: true }))
const port = await freePort()
const pebble: Pebble = skip
  ? { directoryUrl: '', output: () => '' }
  : await startPebble(folder, { tlsPort: port, httpPort: await freePort() })

/** Serial number of what is shown to who asks for this name; undefined when the handshake is refused. */
function serialOf(port: number, servername: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    }).on('error', () => resolve(undefined))
  })
}

describe('certificates by ACME', { skip }, () => {
  const start = (
    hosts: string[],
    { on = port, cache = 'cache', from = pebble, clock = { now: () => new Date() } } = {},
  ) =>
    useApp(
      ({ http }) => {
        http.address = { host: '127.0.0.1', port: on }
        const acme = {
          directoryUrl: from.directoryUrl,
          hosts,
          email: 'ops@example.com',
          cacheFolder: join(folder, cache),
        }
        http.tls = {
          source: { acme },
          minVersion: 'TLSv1.2',
          cipherSuites: [],
          clientCas: [],
          clientAuth: 'require-and-verify',
        }
      },
      { clock },
    )
  const obtained = (app: TestApp, host: string) =>
    eventually(() => app.logged().includes(`acme.certificate-obtained host=${host}`), 30_000)

  it('are obtained by TLS-ALPN-01 on the port of the registry, kept, and renewed in time', async () => {
    const first = await start(['Registry.test', 'other.test'])
    assert.equal(await serialOf(port, 'registry.test'), undefined)
    await obtained(first, 'other.test')
    const serial = await serialOf(port, 'registry.test')
    assert.ok(serial)
    assert.notEqual(await serialOf(port, 'other.test'), serial)
    assert.equal(await serialOf(port, 'stranger.test'), undefined)
    const files = await readdir(join(folder, 'cache'))
    assert.deepEqual(files.toSorted(), ['acme_account+key', 'other.test', 'registry.test'])
    assert.match(await readFile(join(folder, 'cache/registry.test'), 'utf8'), /^-----BEGIN [A-Z ]*PRIVATE KEY-----/)
    for (const file of files) assert.equal((await stat(join(folder, 'cache', file))).mode & 0o777, 0o600)
    await first.close()

    const second = await start(['registry.test'])
    assert.equal(await serialOf(port, 'registry.test'), serial)
    await second.close()

    // Nobody is refused while the new one is asked for.
    const later = await start(['registry.test'], { clock: { now: () => new Date(Date.now() + 1200 * day) } })
    let renewed: string | undefined
    while (renewed === undefined) {
      const seen = await serialOf(port, 'registry.test')
      assert.ok(seen)
      if (seen !== serial) renewed = seen
    }
    assert.doesNotMatch(later.logged(), /acme\.failed/)
    await later.close()
  })

  it('are asked for nobody when no host is named', async () => {
    const app = await start([], { cache: 'none' })
    assert.equal(await serialOf(port, 'registry.test'), undefined)
    assert.match(app.logged(), /acme\.no-hosts/)
    await app.close()
  })

  it('are asked for again later when the directory does not answer, and the log says why', async () => {
    // One of them is a port that fetch never asks.
    for (const [cache, port] of [
      ['down', await freePort()],
      ['blocked', 6666],
    ] as const) {
      const nowhere = { directoryUrl: `https://127.0.0.1:${port}/dir`, output: () => '' }
      const app = await start(['registry.test'], { cache, from: nowhere })
      await eventually(() => app.logged().includes('acme.failed'), 20_000)
      assert.match(app.logged(), /acme\.failed host=registry\.test error=".*ECONNREFUSED.*again-in="1 minutes"/)
      await app.close()
    }
  })

  it(
    'are obtained by HTTP-01 on port 80 where TLS-ALPN-01 does not reach us',
    { skip: need('pebble', 'root') },
    async (t) => {
      const isFree = await new Promise((resolve) => {
        const server = createServer().once('error', () => resolve(false))
        server.listen(80, () => server.close(() => resolve(true)))
      })
      if (!isFree) return t.skip('port 80 is taken')
      const from = await startPebble(folder, { tlsPort: await freePort(), httpPort: 80 })
      const app = await start(['registry.test'], { cache: 'http', from, on: await freePort() })
      await obtained(app, 'registry.test')
      assert.match(app.logged(), /acme\.not-by-tls-alpn/)
    },
  )
})
