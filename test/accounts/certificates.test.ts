import assert from 'node:assert/strict'
import { mkdir, mkdtemp, copyFile, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect } from 'node:tls'
import type { ClientCertificateRule, TlsConfiguration } from '../../src/config/configuration.ts'
import { accountBy, namesOf } from '../../src/features/accounts/certificates.ts'
import { adminPassword, basic } from '../support/accounts.ts'
import { useApp } from '../support/app.ts'
import { createAuthority } from '../support/certificates.ts'
import { simpleLayout } from '../support/oci-layout.ts'
import { need, run } from '../support/programs.ts'
import { tokensOn } from '../tokens/tools.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-certificates-'))
after(() => rm(folder, { recursive: true }))
const authority = await createAuthority(folder)
const stranger = await createAuthority(folder, 'Somebody Else')
const server = await authority.issue('localhost')
const issue = (name: string, san: string, by = authority) => by.issue(name, { san, client: true })
const pairs = {
  robot: await issue('job', 'URI:spiffe://example.org/ns/acme/sa/ci'),
  ann: await issue('Ann', 'email:Ann@example.com'),
  named: await issue('bob', 'DNS:bob.laptops.example.com'),
  forged: await issue('forger', 'email:ann@example.com', stranger),
  unknown: await issue('unknown', 'URI:spiffe://example.org/ns/acme/sa/gone'),
  organization: await issue('acme', 'DNS:acme.laptops.example.com'),
}
const rules: ClientCertificateRule[] = [
  { field: 'uri', pattern: 'spiffe://example.org/ns/acme/sa/*', account: 'robot.acme.*' },
  { field: 'email', pattern: 'ann@example.com', account: 'ann' },
  { field: 'dns', pattern: '*.laptops.example.com', account: '*' },
]
const tls: TlsConfiguration = {
  source: server,
  ...{ minVersion: 'TLSv1.2', cipherSuites: [], clientCas: [authority.file], clientAuth: 'verify-if-given' },
}
let now = Date.now()
const app = await useApp(
  (configuration) => {
    configuration.http.tls = tls
    configuration.tokens = { ...tokensOn }
    configuration.clientCertificates = rules
    configuration.admin = { user: 'root', password: { text: adminPassword } }
    configuration.http.trustedProxies = ['127.0.0.2']
  },
  { clock: { now: () => new Date(now) } },
)
const url = `https://localhost:${app.port}`
const curl = (path: string, ...args: string[]) =>
  run('curl', ['-sS', '--max-time', '10', '--cacert', authority.file, ...args, `${url}${path}`])
const shown = (pair?: { certificate: string; key: string }) =>
  pair ? ['--cert', pair.certificate, '--key', pair.key] : []
const statusOf = (path: string, ...args: string[]) => curl(path, '-o', '/dev/null', '-w', '%{http_code}', ...args)
const as = (name: string, password: string) => ['-H', `Authorization: ${basic(name, password)}`]
const put = (path: string, body: object) =>
  statusOf(`/api/v1${path}`, '-X', 'PUT', ...as('root', adminPassword), '--json', JSON.stringify(body))

describe('a client by its certificate', () => {
  before(async () => {
    for (const name of ['ann', 'bob'])
      assert.equal(await put(`/users/${name}`, { password: `of ${name} alone` }), '201')
    assert.equal(await put('/orgs/acme', {}), '201')
    assert.equal(await put('/orgs/acme/robots/ci', {}), '201')
    const grant = `/orgs/acme/access/robot:robot.acme.ci?repositories=${encodeURIComponent('acme/*')}`
    assert.match(await put(grant, { roles: ['write'] }), /^20[01]$/)
  })

  for (const version of ['--http1.1', '--http2']) {
    it(`is the user or robot of the rule (${version})`, async () => {
      const who = async (pair?: { certificate: string; key: string }) =>
        Promise.all(
          ['/v2/', '/v2/ann/app/tags/list', '/v2/acme/app/tags/list', '/v2/bob/app/tags/list'].map((path) =>
            statusOf(path, version, ...shown(pair)),
          ),
        )
      assert.deepEqual(await who(), ['401', '401', '401', '401'])
      assert.deepEqual(await who(pairs.ann), ['200', '404', '404', '404'])
      assert.equal(await statusOf('/v2/ann/app/blobs/uploads/', version, '-X', 'POST', ...shown(pairs.ann)), '202')
      assert.equal(await statusOf('/v2/acme/app/blobs/uploads/', version, '-X', 'POST', ...shown(pairs.ann)), '403')
      assert.equal(await statusOf('/v2/acme/app/blobs/uploads/', version, '-X', 'POST', ...shown(pairs.robot)), '202')
      assert.equal(await statusOf('/v2/bob/app/blobs/uploads/', version, '-X', 'POST', ...shown(pairs.robot)), '403')
      assert.equal(await statusOf('/v2/bob/app/blobs/uploads/', version, '-X', 'POST', ...shown(pairs.named)), '202')
      for (const pair of [pairs.unknown, pairs.organization]) assert.equal((await who(pair))[0], '401')
      await assert.rejects(who(pairs.forged)) // as before: the handshake itself ends
    })
  }

  it('is given tokens that end with the certificate, and none that last', async () => {
    const token = async () =>
      JSON.parse(await curl('/token?scope=repository:ann/app:pull&offline_token=true', ...shown(pairs.ann))) as {
        token: string
        expires_in: number
        refresh_token?: string
      }
    const { token: text, refresh_token } = await token()
    const claims = JSON.parse(Buffer.from(text.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
    assert.equal(claims.sub, 'ann')
    assert.equal(refresh_token, undefined)
    now += 10 * 24 * 3_600_000 - 60_000
    assert.ok((await token()).expires_in < 120)
    now += 120_000
    assert.equal(await statusOf('/v2/', ...shown(pairs.ann)), '401')
    now -= 10 * 24 * 3_600_000 + 60_000
  })

  it('is who its credentials say, where it sends some', async () => {
    assert.equal(await statusOf('/v2/', ...shown(pairs.ann), ...as('ann', 'wrong')), '401')
    const bob = [...shown(pairs.ann), ...as('bob', 'of bob alone')]
    assert.equal(await statusOf('/v2/bob/app/blobs/uploads/', '-X', 'POST', ...bob), '202')
    assert.equal(await statusOf('/v2/', ...shown(pairs.ann), ...as('', '')), '200') // as clients say that they have none
  })

  it('is nobody in the management API, whose pages of others could use it', async () => {
    assert.equal(await statusOf('/api/v1/me', ...shown(pairs.ann)), '401')
    assert.equal(await statusOf('/api/v1/tokens', '--json', '{"name": "x"}', ...shown(pairs.ann)), '401')
  })

  it('is never what a header says, nor the proxy that forwards it', async () => {
    const pem = encodeURIComponent(await readFile(pairs.ann.certificate, 'utf8'))
    const headers = [
      'X-Forwarded-Client-Cert',
      'X-SSL-Client-Cert',
      'X-Client-Cert',
      'Client-Cert',
      'X-SSL-Client-S-DN',
    ]
    for (const header of headers) assert.equal(await statusOf('/v2/', '-H', `${header}: ${pem}`), '401', header)
    const forwarded = ['--interface', '127.0.0.2', '-H', 'X-Forwarded-For: 10.1.2.3']
    assert.equal(await statusOf('/v2/', ...shown(pairs.ann), ...forwarded), '401')
    assert.equal(await statusOf('/v2/', ...shown(pairs.ann), '--interface', '127.0.0.2'), '200')
  })

  it('is the same on a connection that is resumed, and nobody when the account is disabled', async () => {
    const ca = await readFile(authority.file)
    const [cert, key] = [await readFile(pairs.named.certificate), await readFile(pairs.named.key)]
    const ask = (session?: Buffer) =>
      new Promise<{ status: string; session: Buffer; reused: boolean }>((resolve, reject) => {
        let kept: Buffer = Buffer.alloc(0)
        const own = session ? { session } : { cert, key }
        const socket = connect({ port: app.port, host: 'localhost', servername: 'localhost', ca, ...own })
        socket.on('session', (one: Buffer) => (kept = one))
        socket.on('error', reject)
        socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        let answer = ''
        socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
        socket.on('end', () =>
          resolve({ status: answer.slice(9, 12), session: kept, reused: socket.isSessionReused() }),
        )
      })
    const first = await ask()
    assert.equal(first.status, '200')
    const resumed = await ask(first.session)
    assert.deepEqual([resumed.status, resumed.reused], ['200', true])
    assert.equal(await put('/users/bob', { isDisabled: true }), '200')
    assert.equal((await ask(first.session)).status, '401')
  })

  it('pushes and pulls with skopeo', { skip: need('skopeo') }, async () => {
    const certs = join(folder, 'certs')
    await mkdir(certs)
    await copyFile(authority.file, join(certs, 'ca.crt'))
    await copyFile(pairs.robot.certificate, join(certs, 'client.cert'))
    await copyFile(pairs.robot.key, join(certs, 'client.key'))
    const layout = join(folder, 'layout')
    await simpleLayout(layout)
    const target = `docker://localhost:${app.port}/acme/app:v1`
    await run('skopeo', ['copy', '--dest-cert-dir', certs, `oci:${layout}`, target])
    assert.match(await run('skopeo', ['inspect', '--cert-dir', certs, target]), /acme\/app/)
    await rm(join(certs, 'client.cert'))
    await rm(join(certs, 'client.key'))
    await assert.rejects(run('skopeo', ['inspect', '--cert-dir', certs, target]), /unauthorized|authentication/)
  })
})

it('a connection of HTTP/2 without TLS is called what it is', async () => {
  const plain = await useApp((configuration) => {
    configuration.http.h2c = true
    configuration.tokens = { ...tokensOn }
    configuration.access = 'closed'
  })
  const args = ['-sS', '--http2-prior-knowledge', '-o', '/dev/null', '-w', '%{http_version} %header{www-authenticate}']
  const answer = await run('curl', [...args, `http://127.0.0.1:${plain.port}/v2/`])
  assert.match(answer, /^2 Bearer realm="http:\/\/127\.0\.0\.1/)
})

describe('the names of a certificate', () => {
  const of = (subjectaltname: string, CN: unknown = 'cn') => namesOf({ subject: { CN } as never, subjectaltname })

  it('are read without doubt, or not at all', () => {
    const all = of('DNS:A.example, IP Address:127.0.0.1, URI:spiffe://x/y, email:A@b.example')
    assert.deepEqual(all, { commonname: ['cn'], dns: ['a.example'], uri: ['spiffe://x/y'], email: ['a@b.example'] })
    assert.deepEqual(of('URI:"http://a, email:root@b.example"').email, [])
    assert.deepEqual(of('URI:"http://a, email:root@b.example"').uri, ['http://a, email:root@b.example'])
    assert.deepEqual(of('URI:http://a"x, email:root@b.example').email, [])
    assert.deepEqual(of('', ['a', 'b']).commonname, [])
  })

  it('fit a rule as a whole', () => {
    const by = (pattern: string, account: string, name: string) =>
      accountBy({ field: 'uri', pattern, account }, { ...of(''), uri: [name] })
    assert.equal(by('spiffe://a/*', 'robot.*', 'spiffe://a/b.c-d_1'), 'robot.b.c-d_1')
    for (const name of [
      'spiffe://a/',
      'spiffe://a/b/c',
      'spiffe://a/$&',
      'xspiffe://a/b',
      'spiffe://a/b\n',
      'spiffe://b/b',
    ])
      assert.equal(by('spiffe://a/*', '*', name), undefined, name)
    assert.equal(by('ab*ba', '*', 'aba'), undefined)
    assert.equal(by('a', 'x', 'a'), 'x')
  })
})
