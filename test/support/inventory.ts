import assert from 'node:assert/strict'
import { call, digestOf, types } from './client.ts'

const accept = [types.image, types.index, types.dockerImage, types.dockerList].join(', ')

/** What a registry serves: the digest of every tag of every repository that has one. */
export type Inventory = Record<string, Record<string, string>>

/** Pulls every tag with all it refers to, and checks every byte against its digest. */
export async function inventoryOf(url: string): Promise<Inventory> {
  const { repositories } = JSON.parse(String((await call(url, 'GET', '/v2/_catalog?n=1000')).body))
  const inventory: Inventory = {}
  for (const name of (repositories as string[]).toSorted()) {
    const list = await call(url, 'GET', `/v2/${name}/tags/list`)
    const tags: string[] = list.status === 200 ? (JSON.parse(String(list.body)).tags ?? []) : []
    for (const tag of tags.toSorted()) (inventory[name] ??= {})[tag] = await pull(url, name, tag)
  }
  return inventory
}

/** Pulls a manifest with all it refers to; gives its digest. @throws AssertionError when a byte is missing or wrong */
export async function pull(url: string, repository: string, reference: string): Promise<string> {
  const reply = await call(url, 'GET', `/v2/${repository}/manifests/${reference}`, { headers: { accept } })
  assert.equal(reply.status, 200, `${repository}:${reference} on ${url}: ${reply.body}`)
  const digest = reply.headers['docker-content-digest']!
  assert.equal(digestOf(reply.body, digest.split(':')[0]), digest)
  const { config, layers = [], manifests = [], mediaType } = JSON.parse(String(reply.body))
  if (mediaType) assert.equal(reply.headers['content-type'], mediaType)
  for (const child of manifests) assert.equal(await pull(url, repository, child.digest), child.digest)
  for (const blob of [...(config ? [config] : []), ...layers]) {
    const { status, body } = await call(url, 'GET', `/v2/${repository}/blobs/${blob.digest}`)
    assert.equal(status, 200, `${repository} ${blob.digest} of ${reference} on ${url}`)
    assert.equal(digestOf(body, blob.digest.split(':')[0]), blob.digest)
  }
  return digest
}

/** The status of a HEAD request for a manifest. */
export async function statusOf(url: string, repository: string, reference: string): Promise<number> {
  return (await call(url, 'HEAD', `/v2/${repository}/manifests/${reference}`, { headers: { accept } })).status
}
