import type { Authorizer, Principal } from '../auth/types.ts'
import type { Actor } from './ports/events.ts'
import type { Guard } from './ports/guard.ts'
import type { MetadataStore } from './ports/metadata.ts'
import type { StorageDriver } from './ports/storage.ts'
import { createBlobs } from './blobs.ts'
import { createLists } from './lists.ts'
import { createManifests } from './manifests.ts'
import { createUploads } from './uploads.ts'

/** What the heart needs of the world. */
export interface RegistryPorts {
  storage: StorageDriver
  metadata: MetadataStore
  guards: Guard[]
  authorizer?: Authorizer | undefined
  ids: { upload(): string }
}

export type Registry = ReturnType<typeof createRegistry>

/** The registry itself: blobs, uploads, manifests and lists over two ports. */
export function createRegistry(ports: RegistryPorts) {
  return {
    ...ports,
    blobs: createBlobs(ports),
    uploads: createUploads(ports),
    manifests: createManifests(ports),
    lists: createLists(ports),
  }
}

export function actorOf(principal: Principal): Actor {
  return { name: principal.kind === 'anonymous' ? '' : principal.name, address: principal.address }
}
