import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { sha256 } from './registry.ts'
import { tar } from './tar.ts'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  artifactType?: string
  platform?: { architecture: string; os: string }
  annotations?: Record<string, string>
}

export const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  plainLayer: 'application/vnd.oci.image.layer.v1.tar',
  empty: 'application/vnd.oci.empty.v1+json',
  inToto: 'application/vnd.in-toto+json',
}

/** A layer on its way into an image: what is stored, and the tar it unpacks to. */
interface Layer {
  mediaType: string
  content: Buffer
  tar: Buffer
}

/** A gzipped layer with these files. */
export function layerOf(files: Record<string, string | Uint8Array>): Layer {
  const archive = tar(files)
  return { mediaType: types.layer, content: gzipSync(archive), tar: archive }
}

/** A layer without any file, as builders write for instructions that change none. */
export const emptyLayer = (): Layer => layerOf({})

/** A layer of no bytes at all. */
export const zeroByteLayer = (): Layer => ({
  mediaType: types.plainLayer,
  content: Buffer.alloc(0),
  tar: Buffer.alloc(0),
})

/** An OCI image layout being written to a folder: https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export async function createLayout(folder: string) {
  const entries: Descriptor[] = []
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true })
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))

  async function blob(mediaType: string, content: string | Uint8Array): Promise<Descriptor> {
    const bytes = Buffer.from(content)
    const digest = sha256(bytes)
    await writeFile(join(folder, 'blobs', digest.replace(':', '/')), bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const json = (mediaType: string, value: object) => blob(mediaType, JSON.stringify(value))

  async function image(layers: Layer[], architecture = 'amd64'): Promise<Descriptor> {
    const platform = { architecture, os: 'linux' }
    const config = await json(types.config, {
      ...platform,
      config: { Cmd: ['/hello'] },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => sha256(layer.tar)) },
      history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'test' })),
    })
    const stored = await Promise.all(layers.map(({ mediaType, content }) => blob(mediaType, content)))
    const manifest = { schemaVersion: 2, mediaType: types.manifest, config, layers: stored }
    return { ...(await json(types.manifest, manifest)), platform }
  }

  /** A manifest of another kind about `subject`, for instance its bill of materials. */
  async function artifact(artifactType: string, content: string, subject: Descriptor): Promise<Descriptor> {
    const { mediaType, digest, size } = subject
    const manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      artifactType,
      config: await blob(types.empty, '{}'),
      layers: [await blob('text/plain', content)],
      subject: { mediaType, digest, size },
    }
    return { ...(await json(types.manifest, manifest)), artifactType }
  }

  /** What BuildKit puts beside each image of an index: provenance in a manifest for no platform. */
  async function attestation(about: Descriptor): Promise<Descriptor> {
    const statement = await json(types.inToto, {
      _type: 'https://in-toto.io/Statement/v0.1',
      subject: [{ name: about.digest }],
    })
    const platform = { architecture: 'unknown', os: 'unknown' }
    const rootfs = { type: 'layers', diff_ids: [statement.digest] }
    const manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: await json(types.config, { ...platform, config: {}, rootfs }),
      layers: [statement],
    }
    return {
      ...(await json(types.manifest, manifest)),
      platform,
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': about.digest,
      },
    }
  }

  async function index(manifests: Descriptor[]): Promise<Descriptor> {
    return json(types.index, { schemaVersion: 2, mediaType: types.index, manifests })
  }

  /** Names an entry of the layout, so that clients find it as FOLDER:NAME. */
  async function name(descriptor: Descriptor, reference?: string): Promise<Descriptor> {
    entries.push({
      ...descriptor,
      ...(reference && { annotations: { 'org.opencontainers.image.ref.name': reference } }),
    })
    const document = { schemaVersion: 2, mediaType: types.index, manifests: entries }
    await writeFile(join(folder, 'index.json'), JSON.stringify(document))
    return descriptor
  }

  return { folder, blob, image, artifact, attestation, index, name }
}

/** A layout with one image named v1: two layers of files, one empty. */
export async function simpleLayout(folder: string): Promise<Descriptor> {
  const layout = await createLayout(folder)
  const layers = [layerOf({ hello: 'hello\n' }), emptyLayer(), layerOf({ 'data/noise': randomBytes(100_000) })]
  return layout.name(await layout.image(layers), 'v1')
}

/** A layout with an index named v1: two platforms, each with its attestation, sharing a layer. */
export async function multiPlatformLayout(folder: string): Promise<Descriptor> {
  const layout = await createLayout(folder)
  const shared = layerOf({ shared: randomBytes(50_000) })
  const images = await Promise.all(
    ['amd64', 'arm64'].map((architecture) => layout.image([shared, layerOf({ platform: architecture })], architecture)),
  )
  const attestations = await Promise.all(images.map(layout.attestation))
  return layout.name(await layout.index([...images, ...attestations]), 'v1')
}
