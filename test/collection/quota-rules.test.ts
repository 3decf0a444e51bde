import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { useAccounts } from '../support/accounts.ts'
import { call, codesOf, digestOf, types } from '../support/client.ts'
import { pushText } from '../support/push.ts'
import { startRegistry } from '../support/registry.ts'

/** A volume that another registry has left. */
const folder = await mkdtemp(join(tmpdir(), 'holdfast-quotas-'))
after(() => rm(folder, { recursive: true, force: true }))
const before = await startRegistry({ data: join(folder, 'data') })
await pushText(before.url, 'taken/over', 'v1', 'x'.repeat(3000))
await before.stop()
await rm(join(folder, 'data/holdfast'), { recursive: true })

const { must, api, root, port, metadata, close } = await useAccounts(
  (configuration) => {
    configuration.access = 'open'
    configuration.quotas = [
      { scope: '*', limit: 10_000, soft: 80 },
      { scope: 'small-*', limit: 2000, soft: 80 },
      { scope: 'small-but-free', limit: 1_000_000, soft: 80 },
      { scope: 'acme/*', limit: 4000, soft: 50 },
    ]
  },
  { folder },
)
const to = (method: string, path: string, body?: Buffer, headers: Record<string, string> = {}) =>
  call(`http://127.0.0.1:${port}`, method, `/v2/${path}`, {
    headers: { authorization: root, 'content-type': 'application/octet-stream', ...headers },
    ...(body && { body }),
  })
const pushBlob = (repository: string, text: string) =>
  to('POST', `${repository}/blobs/uploads/?digest=${digestOf(Buffer.from(text))}`, Buffer.from(text))
async function push(repository: string, ...texts: string[]) {
  for (const text of texts) {
    const pushed = await pushBlob(repository, text)
    if (pushed.status !== 201) return pushed
  }
  const layers = texts.map((text) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: digestOf(Buffer.from(text)),
    size: text.length,
  }))
  const manifest = { schemaVersion: 2, mediaType: types.image, config: layers[0], layers }
  return to('PUT', `${repository}/manifests/v1`, Buffer.from(JSON.stringify(manifest)), { 'content-type': types.image })
}

describe('a quota of the configuration', () => {
  it('counts what a volume had that was taken over', async () => {
    while (!((await must('GET /quotas/taken').catch(() => ({ used: 0 }))).used > 3000)) await setTimeout(50)
    assert.equal((await must('GET /quotas/taken')).isConfigured, true)
    assert.equal((await push('taken/other', 'y'.repeat(8000))).status, 403)
    await must('PUT /quotas/taken/over', { body: { limit: 100 } })
    assert.ok((await must('GET /quotas/taken/over')).used > 3000, 'also for one that is set later')
  })

  it('holds for each organization or repository that it fits, that by name first', async () => {
    assert.equal((await push('acme/app', 'a'.repeat(5000))).status, 403, 'the repository')
    for (const name of ['b', 'c', 'd'])
      assert.equal((await push(`acme/${name}`, name.repeat(2000))).status, 201, 'each has a limit of its own')
    assert.equal((await push('acme/e', 'e'.repeat(3500))).status, 403, 'the organization')
    // The first that fits is that of all organizations.
    assert.equal((await push('small-one/app', 'a'.repeat(5000))).status, 201)
    assert.equal((await push('small-but-free/app', 'a'.repeat(50_000))).status, 201)
    const { items } = (await must('GET /quotas')) as { items: { scope: string; limit: number }[] }
    assert.equal(items.find(({ scope }) => scope === 'acme/b')?.limit, 4000)
  })

  it('stands behind one that is set, and holds again without it', async () => {
    await must('PUT /quotas/acme/app', { body: { limit: 9000 } })
    await must('PUT /quotas/acme', { body: { limit: 90_000 } })
    assert.equal((await push('acme/app', 'a'.repeat(5000))).status, 201)
    assert.equal((await api('DELETE /quotas/acme/app')).status, 204)
    assert.equal((await must('GET /quotas/acme/app')).limit, 4000)
    assert.equal((await api('DELETE /quotas/acme/app')).status, 409)
  })
})

describe('a blob that cannot fit', () => {
  it('is refused by its length before its bytes come, with used, limit and needed', async () => {
    const refused = await pushBlob('acme/new', 'n'.repeat(4001))
    assert.equal(refused.status, 403)
    assert.deepEqual(codesOf(refused), ['DENIED'])
    const [{ detail, message }] = JSON.parse(refused.body.toString()).errors
    assert.match(message, /quota of acme\/new is exceeded: 0 B of 4 kB are used and this blob needs 4.001 kB more/)
    assert.deepEqual(detail, { scope: 'acme/new', used: 0, limit: 4000, needed: 4001 })
  })

  it('is refused by who is over the limit when the upload is closed, unless it costs nothing', async () => {
    const text = 'some bytes'
    const close = async (repository: string, body: string) => {
      const begun = await to('POST', `${repository}/blobs/uploads/`)
      const path = new URL(String(begun.headers.location), `http://127.0.0.1:${port}`).pathname.slice('/v2/'.length)
      assert.equal((await to('PATCH', path, Buffer.from(body))).status, 202)
      return to('PUT', `${path}?digest=${digestOf(Buffer.from(body))}`)
    }
    assert.equal((await close('acme/app', text)).status, 403)
    assert.equal((await close('acme/app', 'a'.repeat(5000))).status, 201, 'it has that')
    assert.equal((await close('acme/b', text)).status, 201)
  })

  it('leaves alone what the organization has, in whichever repository', async () => {
    const { used } = await must('GET /quotas/acme')
    await must('PUT /quotas/acme', { body: { limit: used } })
    assert.equal((await push('acme/b', 'b'.repeat(2000))).status, 201)
    assert.equal((await pushBlob('acme/third', 'b'.repeat(2000))).status, 201)
    assert.equal((await pushBlob('acme/third', 'z')).status, 403)
    assert.ok((await metadata.events.after(0, 1000)).some((event) => event.type === 'alert'))
  })
})

describe('a configuration that changed', () => {
  it('holds from the next start, and leaves what was set', async () => {
    await close(0)
    const again = await useAccounts(
      (configuration) => {
        configuration.quotas = [{ scope: 'acme/*', limit: 5000, soft: 90 }]
      },
      { folder },
    )
    const limits = async (): Promise<Record<string, number>> => {
      const { items } = (await again.must('GET /quotas')) as { items: { scope: string; limit: number }[] }
      return Object.fromEntries(items.map(({ scope, limit }) => [scope, limit]))
    }
    while ('taken' in (await limits()) || (await limits())['acme/b'] !== 5000) await setTimeout(50)
    assert.deepEqual(Object.keys(await limits()), ['acme', 'acme/app', 'acme/b', 'acme/c', 'acme/d', 'taken/over'])
    await again.close(0)
  })
})

it('counts what a volume had also where nothing is collected', async () => {
  await rm(join(folder, 'data/holdfast'), { recursive: true })
  const registry = await useAccounts(
    (configuration) => {
      configuration.collection.enabled = false
      configuration.quotas = [{ scope: 'taken', limit: 10_000, soft: 80 }]
    },
    { folder },
  )
  while (!((await registry.must('GET /quotas/taken').catch(() => ({ used: 0 }))).used > 3000)) await setTimeout(50)
  await registry.must('PUT /quotas/taken/over', { body: { limit: 100 } })
  assert.ok((await registry.must('GET /quotas/taken/over')).used > 3000, 'also for one that is set later')
  await registry.close(0)
})
