import type { Principal } from '../auth/types.ts'
import type { Actor } from './ports/events.ts'
import type { RegistryPorts } from './ports/ports.ts'
import { createBlobs } from './blobs.ts'
import { createLists } from './lists.ts'
import { createManifests } from './manifests.ts'
import { createUploads } from './uploads.ts'

export type Registry = ReturnType<typeof createRegistry>

/** The registry itself: blobs, uploads, manifests and lists over two ports. */
export function createRegistry(ports: RegistryPorts) {
  const [blobs, uploads] = [createBlobs(ports), createUploads(ports)]
  return { ...ports, blobs, uploads, manifests: createManifests(ports), lists: createLists(ports) }
}

export function actorOf(principal: Principal): Actor {
  return { name: principal.kind === 'anonymous' ? '' : principal.name, address: principal.address }
}
