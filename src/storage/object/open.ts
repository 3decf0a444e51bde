import type { StorageDriver } from '../../registry/ports/storage.ts'
import type { AzureOptions } from './azure/client.ts'
import { createObjectStorage, type ObjectStorageOptions } from './driver.ts'
import type { S3Options } from './s3/client.ts'
import type { ObjectStore } from './store.ts'

export type Objects = { partSize: number } & (({ kind: 's3' } & S3Options) | ({ kind: 'azure' } & AzureOptions))

interface Options extends Omit<ObjectStorageOptions, 'store' | 'partSize'> {
  objects: Objects
  clock: { now(): Date }
}

/** The driver for a configured store, and a way to find out whether that can be used. */
export async function openObjectStorage({
  objects,
  ...options
}: Options): Promise<{ driver: StorageDriver; check(): Promise<void> }> {
  const store = await clientOf(objects, options)
  return { driver: createObjectStorage({ ...options, store, partSize: objects.partSize }), check: store.check }
}

async function clientOf(objects: Objects, deps: Pick<Options, 'clock' | 'id'>): Promise<ObjectStore> {
  switch (objects.kind) {
    case 's3':
      return (await import('./s3/client.ts')).createS3(objects)
    case 'azure':
      return (await import('./azure/client.ts')).createAzure(objects, deps)
  }
}
