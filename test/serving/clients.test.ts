import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { TlsConfiguration } from '../../src/config/configuration.ts'
import { type TestApp, useApp } from '../support/app.ts'
import { createAuthority } from '../support/certificates.ts'
import { simpleLayout } from '../support/oci-layout.ts'
import { need, run } from '../support/programs.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-tls-clients-'))
after(() => rm(folder, { recursive: true }))
const authority = await createAuthority(folder)
const source = await authority.issue('localhost')
const me = await authority.issue('me', { client: true })
const { digest } = await simpleLayout(join(folder, 'layout'))
const layout = `oci:${join(folder, 'layout')}:v1`

// As docker, podman and skopeo find them: what may sign the server's, and one's own.
const [trusting, identified] = [join(folder, 'certs'), join(folder, 'own-certs')]
for (const certs of [trusting, identified]) {
  await mkdir(certs)
  await copyFile(authority.file, join(certs, 'ca.crt'))
}
await copyFile(me.certificate, join(identified, 'client.cert'))
await copyFile(me.key, join(identified, 'client.key'))

const start = (more: Partial<TlsConfiguration> = {}, http2 = true) =>
  useApp(({ http }) => {
    const usual = { minVersion: 'TLSv1.2', cipherSuites: [], clientCas: [], clientAuth: 'require-and-verify' } as const
    http.tls = { source, ...usual, cipherSuites: [], clientCas: [], ...more }
    http.http2 = http2
  })
const env = { ...process.env, HOME: folder, SSL_CERT_FILE: authority.file }
const pulledDigest = (app: TestApp) =>
  run('curl', ['-sSI', '--cacert', authority.file, `https://localhost:${app.port}/v2/tls/app/manifests/v1`])

describe('clients over TLS', () => {
  it('skopeo trusts a folder of certificates', { skip: need('skopeo', 'openssl') }, async () => {
    const app = await start()
    const remote = `docker://localhost:${app.port}/tls/app:v1`
    await run('skopeo', ['copy', '--dest-cert-dir', trusting, layout, remote], { env })
    assert.ok((await pulledDigest(app)).includes(digest))
    await run('skopeo', ['copy', '--src-cert-dir', trusting, remote, `oci:${join(folder, 'pulled')}:v1`], { env })
    await assert.rejects(run('skopeo', ['inspect', remote], { env: { ...env, SSL_CERT_FILE: '' } }), /x509/)
    await app.close()
    assert.match(app.accessed(), /HTTP\/[12]/)
  })

  it('skopeo shows its own certificate', { skip: need('skopeo', 'openssl') }, async () => {
    const app = await start({ clientCas: [authority.file] })
    const remote = `docker://localhost:${app.port}/tls/app:v1`
    await run('skopeo', ['copy', '--dest-cert-dir', identified, layout, remote], { env })
    await assert.rejects(
      run('skopeo', ['copy', '--dest-cert-dir', trusting, layout, remote], { env }),
      /tls|certificate|reset|EOF/,
    )
  })

  for (const http2 of [true, false]) {
    it(`crane pushes and pulls over HTTP/${http2 ? 2 : 1.1}`, { skip: need('crane', 'openssl') }, async () => {
      const app = await start({}, http2)
      const remote = `localhost:${app.port}/tls/app:v1`
      await run('crane', ['push', join(folder, 'layout'), remote], { env })
      assert.equal(await run('crane', ['digest', remote], { env }), digest)
      await run('crane', ['validate', '--remote', remote], { env })
      await app.close()
      assert.match(app.accessed(), http2 ? /"PATCH .* HTTP\/2\.0" 202/ : /"PATCH .* HTTP\/1\.1" 202/)
      assert.doesNotMatch(app.accessed(), http2 ? /HTTP\/1/ : /HTTP\/2/)
    })
  }

  it('oras pushes and pulls with a file of certificates', { skip: need('oras', 'openssl') }, async () => {
    const app = await start()
    const remote = `localhost:${app.port}/tls/app`
    await run(
      'oras',
      [
        'cp',
        '--from-oci-layout',
        `${join(folder, 'layout')}:v1`,
        '--to-plain-http=false',
        '--to-ca-file',
        authority.file,
        `${remote}:v1`,
      ],
      { env },
    )
    assert.equal(
      await run('oras', ['resolve', '--plain-http=false', '--ca-file', authority.file, `${remote}:v1`], { env }),
      digest,
    )
  })

  it('podman pulls', { skip: need('podman', 'openssl', 'skopeo', 'root') }, async () => {
    const app = await start()
    const remote = `localhost:${app.port}/tls/app:v1`
    await run('skopeo', ['copy', '--dest-cert-dir', trusting, layout, `docker://${remote}`], { env })
    const stores = [
      '--root',
      join(folder, 'storage'),
      '--runroot',
      join(folder, 'run'),
      '--storage-driver=vfs',
      '--events-backend=none',
      '--cgroup-manager=cgroupfs',
    ]
    await run('podman', [...stores, 'pull', '--cert-dir', trusting, remote], { env })
    assert.equal(await run('podman', [...stores, 'inspect', '--format={{.Digest}}', remote], { env }), digest)
  })
})
