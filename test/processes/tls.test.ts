import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { connect } from 'node:tls'
import { eventually } from '../support/app.ts'
import { freePort, startPebble } from '../support/pebble.ts'
import { need } from '../support/programs.ts'
import { startTogether } from '../support/processes.ts'

/** Serial number of what is shown to who asks for this name. */
function serialOf(port: number, servername: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    }).on('error', () => resolve(undefined))
  })
}

it('asks for a certificate in one process, and shows it in all', { skip: need('pebble', 'openssl') }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-acme-'))
  after(() => rm(folder, { recursive: true }))
  const port = await freePort()
  const pebble = await startPebble(folder, { tlsPort: port, httpPort: await freePort() })
  const file = join(folder, 'config.yml')
  const acme = { hosts: ['registry.test'], cachefile: join(folder, 'cache'), directoryurl: pebble.directoryUrl }
  await writeFile(file, JSON.stringify({ version: '0.1', http: { tls: { letsencrypt: acme } } }))
  const registry = await startTogether(3, {
    file,
    port,
    env: { NODE_EXTRA_CA_CERTS: join(folder, 'Pebble-Directory.crt') },
  })
  after(() => registry.dispose())
  await eventually(() => registry.errors().includes('acme.certificate-obtained host=registry.test'), 30_000)
  assert.equal(registry.errors().match(/acme\.certificate-obtained/g)!.length, 1)
  // Three connections one after the other are three processes.
  const serials = () => Promise.all([1, 2, 3].map(() => serialOf(port, 'registry.test')))
  await eventually(async () => new Set(await serials()).size === 1 && (await serials())[0] !== undefined, 15_000)
  assert.deepEqual((await readdir(join(folder, 'cache'))).toSorted(), ['acme_account+key', 'registry.test'])
  assert.ok((await readFile(join(folder, 'cache/registry.test'), 'utf8')).includes('PRIVATE KEY'))
})
