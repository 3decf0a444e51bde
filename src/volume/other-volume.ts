import { blobPath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { createGate, type Gate } from './gate.ts'
import type { Volume } from './volume.ts'

/** A volume that another process of this machine looks after, by its gate. */
export function createOtherVolume(
  store: MetadataStore,
  storage: StorageDriver,
  gateThere: Omit<Gate, 'sizeOf'>,
): Volume {
  const gate = { ...gateThere, sizeOf: (digest: Parameters<typeof blobPath>[0]) => storage.stat(blobPath(digest)) }
  return {
    metadata: createGate(store, gate),
    gate,
    notice: () => {},
    begin: async () => {},
    end: async () => {},
    passed: async () => false,
  }
}
