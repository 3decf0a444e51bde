import type { Digest } from '../../oci/digest.ts'
import type { AccessControl } from '../../auth/control.ts'
import type { Actor, Happening } from './events.ts'
import type { Guard } from './guard.ts'
import type { MetadataStore } from './metadata.ts'
import type { Sessions } from './sessions.ts'
import type { StorageDriver } from './storage.ts'

/** What the heart needs of the world. */
export interface RegistryPorts {
  storage: StorageDriver
  metadata: MetadataStore
  sessions: Sessions
  guards: Guard[]
  /** The most entries a page of a list may have. */
  lists?: { catalogMax: number; tagsMax: number }
  access?: AccessControl | undefined
  ids: { upload(): string }
  /** Told about each pull; must not keep it waiting. */
  onPull?: ((pull: Happening, actor: Actor) => void) | undefined
  /** The same, without the making of an event: for who counts every pull. */
  onManifestPull?: ((repository: string, digest: Digest) => void) | undefined
}
