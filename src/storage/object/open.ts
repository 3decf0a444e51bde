import type { StorageDriver } from '../../registry/ports/storage.ts'
import { createObjectStorage, type ObjectStorageOptions } from './driver.ts'
import { createS3, type S3Options } from './s3/client.ts'

interface Options extends Omit<ObjectStorageOptions, 'store' | 'partSize'> {
  objects: { kind: 's3'; partSize: number } & S3Options
}

/** The driver for a configured store, and a way to find out whether that can be used. */
export function openObjectStorage({ objects, ...options }: Options): { driver: StorageDriver; check(): Promise<void> } {
  const store = createS3(objects)
  return { driver: createObjectStorage({ ...options, store, partSize: objects.partSize }), check: store.check }
}
