import { randomBytes } from 'node:crypto'
import { imageType, sha256 } from '../support/registry.ts'
import type { Client, Reply } from './client.ts'

export type Random = () => number

/** Numbers in [0, 1) that a seed repeats. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Image {
  repository: string
  tag: string
  layer: Buffer
  config: Buffer
  manifest: Buffer
  digest: string
}

/** An image of one config and one layer that no other image has. */
export function makeImage(repository: string, tag: string, layer: Buffer = randomBytes(300)): Image {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', id: randomBytes(8).toString('hex') }))
  const describe = (mediaType: string, content: Buffer) => ({
    mediaType,
    digest: sha256(content),
    size: content.length,
  })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: imageType,
      config: describe('application/vnd.oci.image.config.v1+json', config),
      layers: [describe('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  )
  return { repository, tag, layer, config, manifest, digest: sha256(manifest) }
}

/** The ways a blob may come. */
export type Way = 'post' | 'put' | 'patch'

/** Pushes a blob; gives the first answer that is not what the protocol expects, else the last one. */
export async function pushBlobBy(client: Client, repository: string, content: Buffer, way: Way): Promise<Reply> {
  const digest = sha256(content)
  if (way === 'post')
    return client.request('POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: content })
  const begun = await client.request('POST', `/v2/${repository}/blobs/uploads/`)
  if (begun.status !== 202) return begun
  let location = String(begun.headers.location)
  let rest = content
  if (way === 'patch') {
    const half = content.length >> 1
    for (const part of [content.subarray(0, half), content.subarray(half)]) {
      const taken = await client.request('PATCH', location, { body: part })
      if (taken.status !== 202) return taken
      location = String(taken.headers.location)
    }
    rest = Buffer.alloc(0)
  }
  return client.request('PUT', `${location}&digest=${digest}`, { body: rest })
}

export function putManifest(client: Client, { repository, manifest }: Image, tag: string): Promise<Reply> {
  return client.request('PUT', `/v2/${repository}/manifests/${tag}`, {
    headers: { 'content-type': imageType },
    body: manifest,
  })
}

/** Pushes what is missing of an image, as clients do; gives the first answer that refuses, or the 201 of the manifest. */
export async function pushWhole(client: Client, image: Image, way: Way = 'put'): Promise<Reply> {
  for (const content of [image.layer, image.config]) {
    const present = await client.request('HEAD', `/v2/${image.repository}/blobs/${sha256(content)}`)
    if (present.status === 200) continue
    const reply = await pushBlobBy(client, image.repository, content, way)
    if (reply.status !== 201) return reply
  }
  return putManifest(client, image, image.tag)
}

export interface Findings {
  lost: number
  wrongBytes: number
  serverErrors: number
  details: string[]
}

/**
 * Reads the image by digest and byte for byte. One that was acknowledged must be there whole; of any other each part may be
 * missing, but what is there must be right.
 */
export async function inspect(client: Client, image: Image, acknowledged: boolean, found: Findings): Promise<void> {
  const { repository, digest, manifest, layer, config } = image
  const parts = [
    [`/v2/${repository}/manifests/${digest}`, manifest],
    [`/v2/${repository}/blobs/${sha256(layer)}`, layer],
    [`/v2/${repository}/blobs/${sha256(config)}`, config],
  ] as const
  let whole = true
  for (const [path, expected] of parts) {
    const { status, body } = await client.request('GET', path)
    if (status >= 500) found.serverErrors++
    else if (status === 200 && !body.equals(expected)) found.wrongBytes++
    else if (status === 200 || (status === 404 && !acknowledged)) continue
    whole = false
    found.details.push(`${path}: ${status}, ${acknowledged ? '' : 'not '}acknowledged`)
  }
  if (!whole && acknowledged) found.lost++
}

export const noFindings = (): Findings => ({ lost: 0, wrongBytes: 0, serverErrors: 0, details: [] })
