import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'
import type { TlsConfiguration } from '../../src/config/configuration.ts'
import { eventually, useApp } from '../support/app.ts'
import { createAuthority } from '../support/certificates.ts'
import { run } from '../support/programs.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-tls-'))
after(() => rm(folder, { recursive: true }))
const authority = await createAuthority(folder)
const stranger = await createAuthority(folder, 'Somebody Else')
const server = await authority.issue('localhost')
const [mine, foreign] = [await authority.issue('me', { client: true }), await stranger.issue('them', { client: true })]
const ca = await readFile(authority.file)

function tlsWith(more: Partial<TlsConfiguration> = {}): TlsConfiguration {
  const usual = { minVersion: 'TLSv1.2', cipherSuites: [], clientCas: [], clientAuth: 'require-and-verify' } as const
  return { source: server, ...usual, ...more } as TlsConfiguration
}
const curl = (port: number, ...args: string[]) =>
  run('curl', ['-sS', '--max-time', '10', '--cacert', authority.file, ...args, `https://localhost:${port}/v2/`])

describe('TLS', () => {
  it('serves HTTP/2 to who can, HTTP/1.1 to who cannot', async () => {
    const { port } = await useApp(({ http }) => (http.tls = tlsWith()))
    assert.equal(await curl(port, '-o', '/dev/null', '-w', '%{http_version} %{http_code}'), '2 200')
    assert.equal(await curl(port, '--http1.1', '-o', '/dev/null', '-w', '%{http_version} %{http_code}'), '1.1 200')
    assert.match(await curl(port, '-I'), /^HTTP\/2 200\s/)
    assert.doesNotMatch(await curl(port, '-i'), /^connection:/im)
  })

  it('keeps to HTTP/1.1 when HTTP/2 is switched off', async () => {
    const { port } = await useApp(({ http }) => Object.assign(http, { tls: tlsWith(), http2: false }))
    assert.equal(await curl(port, '-o', '/dev/null', '-w', '%{http_version}'), '1.1')
  })

  it('tells who speaks plain HTTP what is wrong', async () => {
    const { port } = await useApp(({ http }) => (http.tls = tlsWith()))
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`)
    assert.equal(answer.status, 400)
    assert.equal(await answer.text(), 'Client sent an HTTP request to an HTTPS server.\n')
  })

  it('keeps to the least version and the cipher suites', async () => {
    const app = await useApp(
      ({ http }) => (http.tls = tlsWith({ cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'] })),
    )
    const handshake = (options: ConnectionOptions) =>
      new Promise<string>((resolve) => {
        const socket = connect({ port: app.port, host: 'localhost', ca, ...options }, () => {
          resolve(`${socket.getProtocol()} ${socket.getCipher().name}`)
          socket.destroy()
        })
        socket.on('error', () => resolve('refused'))
      })
    assert.equal(await handshake({ maxVersion: 'TLSv1.2' }), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384')
    assert.equal(await handshake({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }), 'refused')
    assert.match(await handshake({}), /^TLSv1\.3/)
    assert.equal(
      await handshake({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }),
      'refused',
    )
    const modern = await useApp(({ http }) => (http.tls = tlsWith({ minVersion: 'TLSv1.3' })))
    await assert.rejects(curl(modern.port, '--tls-max', '1.2'))
    assert.equal(await curl(modern.port, '--tlsv1.3'), '{}')
  })

  it('says what is wrong with files and suites before it listens', async () => {
    const start = (more: Partial<TlsConfiguration>) => useApp(({ http }) => (http.tls = tlsWith(more)))
    await assert.rejects(
      start({ cipherSuites: ['TLS_NONE'] }),
      /http\.tls\.ciphersuites "TLS_NONE": expected names such as/,
    )
    await assert.rejects(
      start({ source: { certificate: join(folder, 'none'), key: server.key } }),
      /Cannot read http\.tls\.certificate .*none/,
    )
    await assert.rejects(
      start({ source: { certificate: server.certificate, key: mine.key } }),
      /Cannot use certificate .* with key .*expected a PEM chain and its key/,
    )
  })

  for (const [clientAuth, none, known, unknown] of [
    ['request', true, true, true],
    ['require-any', false, true, true],
    ['verify-if-given', true, true, false],
    ['require-and-verify', false, true, false],
  ] as const) {
    it(`asks for client certificates: ${clientAuth}`, async () => {
      const { port } = await useApp(({ http }) => (http.tls = tlsWith({ clientAuth, clientCas: [authority.file] })))
      const isLetIn = (...args: string[]) =>
        curl(port, ...args).then(
          (body) => body === '{}',
          () => false,
        )
      const as = ({ certificate, key }: typeof mine) => isLetIn('--cert', certificate, '--key', key)
      assert.deepEqual([await isLetIn(), await as(mine), await as(foreign)], [none, known, unknown])
      assert.equal(await isLetIn('--http1.1'), none)
    })
  }
})

describe('a certificate that changes', () => {
  async function pairIn(name: string) {
    const pair = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
    await copyFile(server.certificate, pair.certificate)
    await copyFile(server.key, pair.key)
    return pair
  }
  const serialAt = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ port, host: 'localhost', ca }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      }).on('error', reject)
    })

  it('holds for new connections while no request fails', async () => {
    const source = await pairIn('rolling')
    const app = await useApp(({ http }) => (http.tls = tlsWith({ source })))
    let going = true
    const url = `https://localhost:${app.port}/v2/`
    // Old connections and new ones, of both versions, all the time.
    const load = [['--http1.1'], ['--http2']].map(async (version) => {
      let requests = 0
      while (going) {
        const codes = await run('curl', [
          '-sS',
          ...version,
          '--cacert',
          authority.file,
          '-w',
          '%{http_code} ',
          `${url}?[1-100]`,
        ])
        assert.equal(codes, Array(100).fill('{}200').join(' '))
        requests += 100
      }
      return requests
    })
    const seen = new Set([await serialAt(app.port)])
    for (let round = 0; round < 4; round++) {
      const next = await authority.issue(`localhost-${round}`)
      await rename(next.certificate, source.certificate) // for a moment it does not fit the key: that is no reason to stop
      await rename(next.key, source.key)
      await eventually(async () => !seen.has(await serialAt(app.port)))
      seen.add(await serialAt(app.port))
    }
    going = false
    assert.ok((await Promise.all(load)).every((requests) => requests >= 100))
    assert.equal(seen.size, 5)
    assert.match(app.logged(), /tls\.certificate-reloaded/)
  })

  it('and is broken leaves the old one in place and says so once', async () => {
    const source = await pairIn('broken')
    const app = await useApp(({ http }) => (http.tls = tlsWith({ source })))
    const before = await serialAt(app.port)
    await writeFile(source.certificate, 'not a certificate')
    await eventually(() => app.logged().includes('tls.certificate-kept'))
    assert.equal(await serialAt(app.port), before)
    assert.equal(app.logged().split('tls.certificate-kept').length, 2)
  })
})

it('cuts who connects to the TLS port and says nothing when it stops', async () => {
  const app = await useApp(({ http }) => (http.tls = tlsWith()))
  const silent = connectTcp(app.port, '127.0.0.1')
  await new Promise((resolve) => silent.once('connect', resolve))
  const begun = performance.now()
  await app.close(10_000)
  assert.ok(performance.now() - begun < 3000)
})
