import assert from 'node:assert/strict'
import { call, describeContent, digestOf, types } from './client.ts'
import { pushBlob } from './registry.ts'

// Pushes that any registry takes, the same bytes for the same text.

/** Pushes an image that `text` alone makes; gives its descriptor. */
export async function pushText(url: string, repository: string, reference: string | undefined, text: string) {
  const [config, layer] = [JSON.stringify({ os: 'linux', text }), `layer of ${text}`]
  for (const content of [config, layer]) await pushBlob(url, repository, Buffer.from(content))
  return putDocument(url, repository, reference, {
    schemaVersion: 2,
    mediaType: types.image,
    config: describeContent(config, types.config),
    layers: [describeContent(layer, types.layer)],
  })
}

/** Pushes an index of two images; gives its descriptor. */
export async function pushIndex(url: string, repository: string, reference: string, text: string) {
  const manifests = []
  for (const architecture of ['amd64', 'arm64']) {
    const image = await pushText(url, repository, undefined, `${text} for ${architecture}`)
    manifests.push({ ...image, platform: { architecture, os: 'linux' } })
  }
  return putDocument(url, repository, reference, { schemaVersion: 2, mediaType: types.index, manifests })
}

/** Pushes an artifact about a manifest; gives its descriptor. */
export async function attach(url: string, repository: string, subject: Record<string, unknown>) {
  await pushBlob(url, repository, Buffer.from('{}'))
  const config = describeContent('{}', 'application/vnd.oci.empty.v1+json')
  const layers = [config]
  return putDocument(url, repository, undefined, {
    ...{ schemaVersion: 2, mediaType: types.image, artifactType: 'application/test', config, layers, subject },
  })
}

/** Puts a manifest under a reference, or under its digest. */
async function putDocument(
  url: string,
  repository: string,
  reference: string | undefined,
  document: { schemaVersion: number; mediaType?: string; [more: string]: unknown },
) {
  const body = JSON.stringify(document)
  const mediaType = document.mediaType ?? types.image
  const path = `/v2/${repository}/manifests/${reference ?? digestOf(body)}`
  const reply = await call(url, 'PUT', path, { body, headers: { 'Content-Type': mediaType } })
  assert.equal(reply.status, 201, String(reply.body))
  return describeContent(body, mediaType)
}

/** Mounts a blob from one repository into another. */
export async function mount(url: string, repository: string, digest: string, from: string): Promise<void> {
  const reply = await call(url, 'POST', `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`)
  assert.equal(reply.status, 201)
}

/** Deletes a manifest or a tag. */
export async function remove(url: string, repository: string, reference: string): Promise<void> {
  const reply = await call(url, 'DELETE', `/v2/${repository}/manifests/${reference}`)
  assert.equal(reply.status, 202, String(reply.body))
}
