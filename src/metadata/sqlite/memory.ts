import type { Digest } from '../../oci/digest.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { MetadataStore, StoredManifest } from '../../registry/ports/metadata.ts'
import { createByteCache } from '../byte-cache.ts'
import { manifestOf } from '../sql/reads.ts'
import type { Row } from '../sql/statement.ts'

const manifestCacheBytes = 16 << 20
const tagCacheBytes = 4 << 20

type Find = MetadataStore['manifests']['find']

/** Manifests and tags in memory, in front of the database: what changes them must be forgotten before anybody is told of it. */
export function createMemory(read: (...asked: Parameters<Find>) => Row | undefined) {
  let manifests = createByteCache<StoredManifest>(manifestCacheBytes)
  let tags = createByteCache<Digest>(tagCacheBytes)

  function forget(repository: string, digest: Digest | undefined, names: string[]): void {
    if (digest) manifests.delete(`${repository}:${digest}`)
    for (const name of names) tags.delete(`${repository}:${name}`)
  }

  return {
    find(...[repository, reference]: Parameters<Find>): StoredManifest | undefined {
      const tag = 'tag' in reference ? reference.tag : undefined
      const known = 'tag' in reference ? tags.get(`${repository}:${reference.tag}`) : reference.digest
      const cached = known && manifests.get(`${repository}:${known}`)
      if (cached) return cached
      const row = read(repository, reference)
      if (!row) return undefined
      const manifest = manifestOf(row, repository)
      manifests.set(`${repository}:${manifest.digest}`, manifest, manifest.content.length + 500)
      if (tag !== undefined) tags.set(`${repository}:${tag}`, manifest.digest, 500)
      return manifest
    },
    forget,
    /** Forgets what these events have changed. */
    forgetChanged(events: RegistryEvent[]): void {
      for (const event of events) {
        if (event.type === 'manifest.pushed' || event.type === 'manifest.deleted')
          forget(event.repository, event.digest, event.tags)
        else if (event.type === 'tag.deleted') forget(event.repository, undefined, [event.tag])
      }
    },
    forgetAll(): void {
      manifests = createByteCache(manifestCacheBytes)
      tags = createByteCache(tagCacheBytes)
    },
  }
}
