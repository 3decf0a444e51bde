import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { connect } from 'node:tls'
import { useApp } from '../support/app.ts'
import { createAuthority } from '../support/certificates.ts'
import { clientOf } from '../support/client.ts'
import { readCorpus } from './corpus.ts'
import { pushSeed, send } from './runner.ts'

// The same requests through TLS: a tunnel on a port of its own wraps whatever bytes come.
const folder = await mkdtemp(join(tmpdir(), 'holdfast-hostile-'))
after(() => rm(folder, { recursive: true }))
const source = await (await createAuthority(folder)).issue('localhost')
const app = await useApp(({ http }) => {
  http.tls = { source, minVersion: 'TLSv1.2', cipherSuites: [], clientCas: [], clientAuth: 'request' }
})
const tunnel = createServer({ allowHalfOpen: true }, (plain) => {
  const secured = connect({ port: app.port, host: '127.0.0.1', rejectUnauthorized: false })
  plain.pipe(secured).pipe(plain)
  plain.on('error', () => secured.destroy()).on('close', () => secured.destroy())
  secured.on('error', () => plain.destroy()).on('close', () => plain.destroySoon())
})
await new Promise<void>((resolve) => tunnel.listen(0, '127.0.0.1', resolve))
after(() => tunnel.close())
const { port } = tunnel.address() as AddressInfo
const registry = clientOf(() => ({ url: `http://127.0.0.1:${port}`, port }), { restart: () => Promise.reject() })
const seed = await pushSeed(registry)

const groups = Map.groupBy(readCorpus(), (request) => request.group)
groups.delete('slow') // slow.test.ts
for (const [group, requests] of groups) {
  describe(`hostile requests through TLS: ${group}`, () => {
    for (const request of requests) it(`answers ${request.id}: ${request.why}`, () => send(registry, seed, request))
  })
}
