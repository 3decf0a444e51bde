import { createHash } from 'node:crypto'
import { mediaTypes } from '../../oci/media-types.ts'
import type { Actor, RegistryEvent } from '../../registry/ports/events.ts'

/** What an event is about, in registry:2's words. */
interface Target {
  mediaType?: string
  size?: number
  digest?: string
  /** The same as `size`: older receivers read it. */
  length?: number
  repository: string
  fromRepository?: string
  url?: string
  tag?: string
  references?: unknown[]
  /** Ours: what an operator must know, with its name in `type`. */
  alert?: object
}

export interface Notification {
  action: 'push' | 'pull' | 'mount' | 'delete' | 'alert'
  target: Target
}

/** What can be looked up about an event when it is told. */
export interface Lookups {
  sizeOfBlob(digest: string): Promise<number | undefined>
  /** Descriptors of config and layers, or children; asked only where references are wanted. */
  referencesOf?: ((repository: string, digest: string) => Promise<unknown[]>) | undefined
  /** Whether alerts, which registry:2 does not have, are told. */
  hasAlerts: boolean
  /** What URLs begin with, such as `https://registry.example.com/`. */
  base(actor: Actor): string
}

/** The notifications registry:2 sends for an event: one each for a manifest and each of its tags. */
export async function notificationsOf(event: RegistryEvent, lookups: Lookups): Promise<Notification[]> {
  const { repository } = event
  const urlOf = (kind: string, digest: string) => `${lookups.base(event.actor)}v2/${repository}/${kind}/${digest}`
  const blob = (digest: string, size = 0): Target => {
    const content = { mediaType: mediaTypes.octets, size, digest, length: size }
    return { ...content, repository, url: urlOf('blobs', digest) }
  }
  switch (event.type) {
    case 'blob.pushed':
      return [{ action: 'push', target: blob(event.digest, event.size) }]
    case 'blob.pulled':
      return [{ action: 'pull', target: blob(event.digest, event.size) }]
    case 'blob.mounted': {
      const target = blob(event.digest, await lookups.sizeOfBlob(event.digest))
      return [{ action: 'mount', target: { ...target, fromRepository: event.from } }]
    }
    case 'blob.deleted':
      return [{ action: 'delete', target: { digest: event.digest, repository } }]
    case 'manifest.pushed':
    case 'manifest.pulled': {
      const { digest, mediaType, size } = event
      const references = await lookups.referencesOf?.(repository, digest)
      const url = urlOf('manifests', digest)
      const target = { mediaType, size, digest, length: size, repository, url, ...(references && { references }) }
      if (event.type === 'manifest.pulled')
        return [{ action: 'pull', target: event.tag === undefined ? target : { ...target, tag: event.tag } }]
      if (event.tags.length === 0) return [{ action: 'push', target }]
      return event.tags.map((tag) => ({ action: 'push', target: { ...target, tag } }))
    }
    case 'manifest.deleted':
      return [
        { action: 'delete', target: { digest: event.digest, repository } },
        ...event.tags.map((tag) => ({ action: 'delete' as const, target: { repository, tag } })),
      ]
    case 'tag.deleted':
      return [{ action: 'delete', target: { repository, tag: event.tag } }]
    case 'alert':
      if (!lookups.hasAlerts) return []
      return [{ action: 'alert', target: { repository, alert: { type: event.what, ...event.detail } } }]
  }
}

/** Where notifications come from. */
export interface Source {
  addr: string
  instanceID: string
}

/** registry:2's envelope with one event in it, indented as there. `place` tells the notifications of one event apart. */
export function envelopeOf(
  notification: Notification,
  { sequence, at, actor }: RegistryEvent & { sequence: number },
  place: number,
  source: Source,
): string {
  const { address: addr, host = '', method = '', agent: useragent = '', name } = actor
  const event = {
    id: idOf(`event ${place}`, sequence, at),
    timestamp: at,
    ...notification,
    request: { id: idOf('request', sequence, at), addr, host, method, useragent },
    actor: name === '' ? {} : { name },
    source,
  }
  return JSON.stringify({ events: [event] }, undefined, 3)
}

/** A UUID (version 8: of our own making) that is the same each time the event is told, also after a restart. */
function idOf(kind: string, sequence: number, at: string): string {
  const hash = createHash('sha256').update(`${kind} ${sequence} ${at}`).digest('hex')
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}
