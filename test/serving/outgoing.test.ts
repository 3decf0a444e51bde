import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { createAuthority } from '../support/certificates.ts'
import { withConfigFile } from '../support/config-file.ts'
import { need } from '../support/programs.ts'
import { startRegistry } from '../support/registry.ts'

it('a webhook trusts the authorities that this machine trusts', { skip: need('openssl') }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-outgoing-'))
  const authority = await createAuthority(folder)
  const { certificate, key } = await authority.issue('hook')
  const hook = createServer({ cert: await readFile(certificate), key: await readFile(key) }, (request, response) => {
    request.resume().on('end', () => response.end())
  })
  await once(hook.listen(0, '127.0.0.1'), 'listening')
  const url = `https://localhost:${(hook.address() as AddressInfo).port}/`
  await withConfigFile(`version: 0.1\nnotifications: {endpoints: [{name: hook, url: "${url}"}]}\n`, async (file) => {
    const registry = await startRegistry({ file, env: { SSL_CERT_FILE: authority.file } })
    const told = once(hook, 'request', { signal: AbortSignal.timeout(20_000) })
    const digest = `sha256:${createHash('sha256').update('x').digest('hex')}`
    const pushed = await fetch(`${registry.url}/v2/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: 'x' })
    assert.equal(pushed.status, 201)
    await told
    await registry.dispose()
  })
  hook.close()
  hook.closeAllConnections()
  await rm(folder, { recursive: true })
})
