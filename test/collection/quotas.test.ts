import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { useAccounts } from '../support/accounts.ts'
import { call, codesOf, digestOf, types } from '../support/client.ts'

const time = { ms: Date.now() }
const day = 86_400_000
const { must, api, root, port, metadata } = await useAccounts(
  (configuration) => {
    configuration.access = 'open'
  },
  { clock: { now: () => new Date(time.ms) } },
)
const headers = { authorization: root }
const to = (method: string, path: string, body?: Buffer, type = 'application/octet-stream') =>
  call(`http://127.0.0.1:${port}`, method, `/v2/${path}`, {
    headers: { ...headers, 'content-type': type },
    ...(body && { body }),
  })

/** An image with one layer, which is its config as well. */
async function push(repository: string, tag: string, text: string) {
  const layer = Buffer.from(text)
  const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(layer), size: layer.length }
  const pushed = await to('POST', `${repository}/blobs/uploads/?digest=${blob.digest}`, layer)
  assert.equal(pushed.status, 201)
  const manifest = { schemaVersion: 2, mediaType: types.image, config: blob, layers: [blob] }
  return to('PUT', `${repository}/manifests/${tag}`, Buffer.from(JSON.stringify(manifest)), types.image)
}
const used = async (scope = 'acme') => Number((await must(`GET /quotas/${scope}`)).used)

describe('a quota', () => {
  it('counts what is there, each blob once, and each push from then on', async () => {
    assert.equal((await push('acme/app', 'v1', 'a'.repeat(1000))).status, 201)
    await must('PUT /quotas/acme', { body: { limit: 5000, soft: 50 } })
    const first = await used()
    assert.ok(first > 1000 && first < 2000, String(first))
    assert.equal((await push('acme/app', 'v1', 'a'.repeat(1000))).status, 201)
    assert.equal((await push('acme/other', 'v1', 'a'.repeat(1000))).status, 201)
    assert.equal(await used(), first, 'the same blobs and manifest in the organization')
    assert.equal((await push('acme/other', 'v2', 'b'.repeat(1000))).status, 201)
    assert.ok((await used()) > first + 1000)
    assert.equal((await push('acme/other', 'v2', 'b'.repeat(1000))).status, 201)
    const alerts = (await metadata.events.after(0, 1000)).filter((event) => event.type === 'alert')
    const { limit, soft } = { limit: 5000, soft: 50 }
    assert.deepEqual(
      alerts.map(({ what, detail }) => [what, detail]),
      [['quota.near', { scope: 'acme', limit, soft, used: await used() }]],
      'once, where it is crossed',
    )
  })

  it('that is set below what is used tells so, once', async () => {
    const told = async () =>
      (await metadata.events.after(0, 1000)).flatMap((event) =>
        event.type === 'alert' && event.what === 'quota.near' ? [event.detail as { scope: string; limit: number }] : [],
      )
    await push('full/app', 'v1', 'f'.repeat(1000))
    const set = (limit: number) => must('PUT /quotas/full', { body: { limit, soft: 50 } })
    await set(100_000)
    assert.deepEqual(
      (await told()).filter(({ scope }) => scope === 'full'),
      [],
    )
    for (const limit of [1500, 1400, 500, 400]) await set(limit)
    assert.deepEqual(
      (await told()).filter(({ scope }) => scope === 'full').map(({ limit }) => limit),
      [1500, 500],
      'once near, and once exceeded',
    )
    const full = (await told()).at(-1)
    assert.deepEqual(full, { scope: 'full', limit: 500, soft: 50, used: await used('full') })
    assert.equal((await push('full/app', 'v2', 'g'.repeat(10))).status, 403)
    await api('DELETE /quotas/full')
  })

  it('refuses what does not fit in one sentence, also of two at once, and lets the rest go on', async () => {
    const before = await used()
    const [one, two] = await Promise.all([push('acme/x', 'v1', 'c'.repeat(900)), push('acme/y', 'v1', 'd'.repeat(900))])
    assert.deepEqual([one.status, two.status].toSorted(), [201, 403])
    const refused = one.status === 403 ? one : two
    assert.deepEqual(codesOf(refused), ['DENIED'])
    assert.match(
      refused.body.toString(),
      /the storage quota of acme is exceeded: .* of 5 kB are used and this image needs .* more/,
    )
    assert.ok((await used()) > before)
    assert.equal((await push('acme/app', 'v3', 'a'.repeat(1000))).status, 201, 'what is charged already')
    assert.equal((await push('other/app', 'v1', 'e'.repeat(9000))).status, 201, 'another organization')
  })

  it('is given back what is deleted, when it is collected', async () => {
    const before = await used()
    const { digest } = (await must('GET /repos/acme/other/-/images/v2')) as { digest: string }
    assert.equal((await to('DELETE', `acme/other/manifests/${digest}`)).status, 202)
    assert.equal(await used(), before, 'the trash counts')
    time.ms += 8 * day
    await must('POST /jobs', { body: { kind: 'gc', force: true } })
    time.ms += 2 * day
    await must('POST /jobs', { body: { kind: 'gc', force: true } })
    assert.ok((await used()) < before - 1000)
    const after = await used()
    await must('PUT /quotas/acme', { body: { limit: 5000 } })
    assert.equal(await used(), after, 'counted anew it is the same')
  })

  it('of a repository is about that alone, and can be taken away', async () => {
    await must('PUT /quotas/other/app', { body: { limit: 10 } })
    assert.equal((await push('other/app', 'v2', 'f'.repeat(9000))).status, 403)
    assert.equal((await push('other/web', 'v2', 'f'.repeat(9000))).status, 201)
    assert.equal(((await must('GET /quotas')).items as unknown[]).length, 2)
    assert.equal((await api('DELETE /quotas/other/app')).status, 204)
    assert.equal((await api('DELETE /quotas/other/app')).status, 404)
    assert.equal((await push('other/app', 'v2', 'f'.repeat(9000))).status, 201)
  })
})
