import type { AzureOptions } from './azure/client.ts'
import type { GcsOptions } from './gcs/client.ts'
import type { S3Options } from './s3/client.ts'
import type { ObjectStore } from './store.ts'

export { createObjectStorage } from './driver.ts'

type Objects = ({ kind: 's3' } & S3Options) | ({ kind: 'azure' } & AzureOptions) | ({ kind: 'gcs' } & GcsOptions)

interface Deps {
  clock: { now(): Date }
  id(): string
}

/** The client of a configured store. @throws Error that says what to do when that cannot be used */
export async function openObjects(objects: Objects, deps: Deps): Promise<ObjectStore> {
  const store = await clientOf(objects, deps)
  await store.check()
  return store
}

async function clientOf(objects: Objects, deps: Deps): Promise<ObjectStore> {
  switch (objects.kind) {
    case 's3':
      return (await import('./s3/client.ts')).createS3(objects)
    case 'azure':
      return (await import('./azure/client.ts')).createAzure(objects, deps)
    case 'gcs':
      return (await import('./gcs/client.ts')).createGcs(objects, deps)
  }
}
