import type { HttpRequest } from '../http/types.ts'
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

export function actorOf({ principal, method, headers }: HttpRequest<unknown>): Actor {
  const name = principal.kind === 'anonymous' ? '' : principal.name
  // A client may call itself anything, and the event log keeps it.
  return { name, address: principal.address, method, host: headers.host, agent: headers['user-agent']?.slice(0, 300) }
}
