import type { Digest } from '../../oci/digest.ts'
import type { Reference } from '../../oci/reference.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { StoredManifest } from '../../registry/ports/metadata.ts'
import { createByteCache } from '../byte-cache.ts'
import { manifestOf } from '../sql/reads.ts'
import type { Row } from '../sql/statement.ts'

const manifestCacheBytes = 16 << 20
const tagCacheBytes = 4 << 20

/** Manifests and tags in memory, in front of the database: what changes them must be forgotten before anybody is told of it. */
export function createMemory(read: (repository: string, reference: Reference) => Row | undefined) {
  let manifests = createByteCache<StoredManifest>(manifestCacheBytes)
  /** The key of the manifest that a tag is on: whole, because to put it together and hash it takes longer than all the rest. */
  let tags = createByteCache<string>(tagCacheBytes)

  function forget(repository: string, digest: Digest | undefined, names: string[]): void {
    if (digest) manifests.delete(`${repository}:${digest}`)
    for (const name of names) tags.delete(`${repository}:${name}`)
  }

  return {
    find(repository: string, reference: Reference): StoredManifest | undefined {
      const name = `${repository}:${'tag' in reference ? reference.tag : reference.digest}`
      const known = 'tag' in reference ? tags.get(name) : name
      const cached = known === undefined ? undefined : manifests.get(known)
      if (cached) return cached
      const row = read(repository, reference)
      if (!row) return undefined
      const manifest = manifestOf(row, repository)
      const key = `${repository}:${manifest.digest}`
      manifests.set(key, manifest, manifest.content.length + 500)
      if ('tag' in reference) tags.set(name, key, 500)
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
