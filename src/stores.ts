import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Secrets, Vault } from './auth/vault.ts'
import type { Configuration, WrappingKey } from './config/configuration.ts'
import type { Keyring } from './keyring/keyring.ts'
import { keysIn, sealedVault } from './keyring/sealed-vault.ts'
import type { Place } from './metadata/copy/index.ts'
import type { Run } from './metadata/sql/commands.ts'
import type { SqlStore } from './metadata/sql/store.ts'
import { noUploadStates, type UploadStates } from './metadata/upload-states.ts'
import { uploadsPath } from './registry/paths.ts'
import type { RegistryEvent } from './registry/ports/events.ts'
import type { StorageDriver } from './registry/ports/storage.ts'
import { keysPath } from './storage/encrypted/paths.ts'
import { createFilesystem } from './storage/filesystem.ts'
import { withTreeAt } from './volume/place.ts'

interface StoreOptions {
  configuration: Configuration
  clock: { now(): Date }
  onEvents?: (events: RegistryEvent[]) => void
  /** Told when this clock is ahead of the database's, by so many milliseconds. */
  onSkew?: (ms: number) => void
  onCommit?: ((seconds: number) => void) | undefined
  /** Begins with an empty database and keeps the one that is there under another name. */
  anew?: boolean
  /** How long to wait for another process to let go of the database. */
  lockWaitMs?: number | undefined
  /** The way to the process that writes to SQLite, where that is another one. */
  writer?: { run: Run; term(): number } | undefined
}

/**
 * Opens what a registry keeps, the bytes first: where they cannot be used, or not be decrypted, nothing is touched.
 * @throws Error that says what to do when it cannot be used or another process has it open
 */
export async function openStores({ configuration, ...options }: StoreOptions): Promise<{
  storage: StorageDriver
  store: SqlStore & { run?: Run }
}> {
  const open = await openStorage(configuration, options.clock)
  const { encryption } = configuration.storage
  const keyring = await openKeys(encryption, open(noUploadStates), options.clock)
  const database = await openDatabase(configuration, options)
  const store = { ...database, cursors: withTreeAt(database.cursors, placeOf(configuration)) }
  const inner = open(store.uploadStates)
  if (!encryption || !keyring) return { store, storage: inner }
  const { createEncryptedStorage } = await import('./storage/encrypted/driver.ts')
  const { enabled: isOn } = encryption
  const more = { states: store.uploadStates, keyring, isOn, uploads: uploadsPath }
  return { store, storage: createEncryptedStorage({ inner, ...more }) }
}

/** Which storage the tree lies in, when it is not the folder of the database. */
export function placeOf({ storage: { objects } }: Configuration): string {
  if (!objects) return ''
  return `${objects.kind} ${objects.kind === 'azure' ? `${objects.serviceUrl} ${objects.container}` : objects.bucket} ${objects.prefix}`
}

/** What keeps the bytes, once it is said where the states of uploads are kept. */
async function openStorage(
  { storage: { root, objects, redirect } }: Configuration,
  clock: { now(): Date },
): Promise<(states: UploadStates) => StorageDriver> {
  if (!objects) {
    const files = createFilesystem(root)
    return () => files
  }
  const { createObjectStorage, openObjects } = await import('./storage/object/open.ts')
  const id = randomUUID
  const store = await openObjects(objects, { id, clock })
  const more = { id, redirect, uploads: uploadsPath, partSize: objects.partSize }
  return (states) => createObjectStorage({ store, states, ...more })
}

/** Opens the keys of a volume that is encrypted, or was once. */
export async function openKeys(
  encryption: Configuration['storage']['encryption'],
  storage: StorageDriver,
  clock: { now(): Date },
): Promise<Keyring | undefined> {
  if (!encryption) {
    if ((await storage.list(keysPath)).length === 0) return undefined
    throw new Error(
      `Cannot read the blobs: they are encrypted (${keysPath} is there); name their keys in holdfast.storage.encryption.keys, with holdfast.storage.encryption.enabled: false if new ones shall not be`,
    )
  }
  const { openKeyring } = await import('./keyring/keyring.ts')
  const { keyFiles } = await import('./storage/encrypted/key-files.ts')
  return openKeyring({ place: keyFiles(storage), keys: encryption.keys, clock, mayMake: encryption.enabled })
}

/**
 * Opens the keys that secrets in the database are encrypted with; undefined where the configuration has none.
 * @throws Error that says what to do where they cannot be opened; then nothing was written
 */
export async function openSecretKeys(
  keys: WrappingKey[],
  vault: Vault,
  clock: { now(): Date },
): Promise<Keyring | undefined> {
  const place = keysIn(vault)
  if (keys.length === 0) {
    if ((await place.ids()).length === 0) return undefined
    throw new Error(`Cannot read ${place.what}: they are encrypted; name their keys in ${place.option}`)
  }
  const { openKeyring } = await import('./keyring/keyring.ts')
  return openKeyring({ place, keys, clock, mayMake: true })
}

/** The part of the vault that nobody reads who has the database alone. @throws Error as `openSecretKeys` */
export async function openSecrets(
  { secretKeys }: Pick<Configuration, 'secretKeys'>,
  vault: Vault,
  clock: { now(): Date },
): Promise<Secrets> {
  return sealedVault(vault, await openSecretKeys(secretKeys, vault, clock))
}

/**
 * What lies in a storage as it was before it was encrypted, for those who only look; the storage itself where nothing is.
 * @throws Error that says what to do where the keys are missing or wrong
 */
export async function openReadable(
  { storage: { encryption } }: Pick<Configuration, 'storage'>,
  inner: StorageDriver,
  clock: { now(): Date },
): Promise<StorageDriver> {
  if ((await inner.list(keysPath)).length === 0) return inner
  const keyring = await openKeys(encryption && { ...encryption, enabled: false }, inner, clock)
  if (!keyring) return inner
  const { createEncryptedStorage } = await import('./storage/encrypted/driver.ts')
  return createEncryptedStorage({ inner, states: noUploadStates, keyring, isOn: true, uploads: uploadsPath })
}

/** Where the configuration has the database. */
export function databasePlace({ databaseUrl, storage }: Configuration): Place {
  return databaseUrl === undefined ? { folder: join(storage.root, 'holdfast') } : { url: databaseUrl }
}

/** The storage alone, for commands that need no database. */
export async function openStorageAlone(configuration: Configuration, clock: { now(): Date }): Promise<StorageDriver> {
  return (await openStorage(configuration, clock))(noUploadStates)
}

/** Loads only the database that is used. */
async function openDatabase(
  { databaseUrl: url, storage, immutability, quotas: limits }: Configuration,
  { anew, writer, ...options }: Omit<StoreOptions, 'configuration'>,
): Promise<SqlStore & { run?: Run }> {
  if (url === undefined) {
    const folder = join(storage.root, 'holdfast')
    if (writer) {
      const { createSqliteReader } = await import('./metadata/sqlite/reader.ts')
      return createSqliteReader({ folder, clock: options.clock, immutability, limits, ...writer })
    }
    const { createSqliteStore } = await import('./metadata/sqlite/store.ts')
    return createSqliteStore({ folder, anew: anew === true, immutability, limits, ...options })
  }
  if (anew)
    throw new Error(
      'holdfast.database.url: a database in PostgreSQL is made anew by naming an empty one; the next start reads the volume into it',
    )
  const { createPostgresStore } = await import('./metadata/postgres/store.ts')
  return createPostgresStore({ url, immutability, limits, ...options })
}
