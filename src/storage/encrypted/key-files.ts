import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { KeyPlace } from '../../keyring/keyring.ts'
import type { StorageDriver } from '../../registry/ports/storage.ts'
import { keysPath } from './paths.ts'

/** The keys of the volume: a file each, beside what they encrypt. */
export function keyFiles(storage: StorageDriver): KeyPlace {
  const pathOf = (id: string) => `${keysPath}/${id}.json`
  return {
    ids: async () => (await storage.list(keysPath)).map((name) => name.replace(/\.json$/, '')),
    get: async (id) => (await storage.get(pathOf(id)))?.toString(),
    async put(id, text) {
      const content = Readable.from([Buffer.from(`${text}\n`)])
      const [from, to] = [`holdfast/uploads/key~${randomUUID()}`, pathOf(id)]
      await storage.append(from, 0, content, () => undefined, to)
      await storage.publish(from, to)
    },
    nameOf: pathOf,
    option: 'holdfast.storage.encryption.keys',
    what: 'blobs',
  }
}
