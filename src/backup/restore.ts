import { DatabaseSync } from 'node:sqlite'
import type { Configuration } from '../config/configuration.ts'
import { copyDatabase, expectNone } from '../metadata/copy/index.ts'
import { migrate } from '../metadata/sqlite/dialect.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { databasePlace, openReadable, openStorageAlone, placeOf } from '../stores.ts'
import { copyBlobs, copyKeys, type Tell } from './back-up.ts'
import { writeFile } from './content.ts'
import { withFacts } from './facts.ts'
import { ownerOf, readSnapshot, withDatabase } from './snapshots.ts'

interface Options {
  configuration: Configuration
  clock: { now(): Date }
  from: StorageDriver
  tell: Tell
  /** The newest by default. */
  snapshot?: string | undefined
  /** Goes on without blobs that are damaged. */
  isPartial: boolean
}

/** There while a restore is under way, so that one which was cut off may go on. */
const marker = 'holdfast/restoring.json'

/**
 * Makes a server out of a snapshot, where there is none: first every blob, hashed, then the database, compared; so nothing serves
 * before everything is there. The tree of links is written when the server starts.
 * @throws Error that says what to do
 */
export async function restore({ configuration, clock, from: source, tell, snapshot: wanted, isPartial }: Options) {
  const snapshot = await readSnapshot(source, wanted)
  const from = { raw: source, readable: await openReadable(configuration, source, clock) }
  const place = databasePlace(configuration)
  await expectNone(place)
  const raw = await openStorageAlone(configuration, clock)
  await expectEmpty(raw, (await ownerOf(source)) ?? '')
  return withDatabase(source, snapshot, async (file) => {
    await copyKeys(source, raw)
    const to = { raw, readable: await openReadable(configuration, raw, clock) }
    const { lacking, progress } = await withFacts(file, (facts) => copyBlobs({ facts, from, to, tell, isQuick: false }))
    if (lacking.length > 0 && !isPartial)
      throw new Error(
        `${lacking.length} blobs cannot be restored, so nothing serves yet: try again with --at and an older snapshot, or go on without them with --partial`,
      )
    settle(file, configuration)
    await copyDatabase({ file }, place, { online: false })
    await raw.delete(marker)
    return { ...snapshot, lacking, copied: progress }
  })
}

async function expectEmpty(storage: StorageDriver, identity: string): Promise<void> {
  const begun = await storage.get(marker)
  if (begun?.toString() === identity) return
  if ((await storage.list('docker/registry/v2')).length > 0)
    throw new Error('there are images already: a backup is restored to a server that has nothing')
  await writeFile(storage, marker, Buffer.from(identity))
}

/** What the old server was in the middle of is no business of the new one, and nothing is known of its tree of links. */
function settle(file: string, configuration: Configuration): void {
  const database = new DatabaseSync(file)
  try {
    migrate(database)
    const place = placeOf(configuration)
    database.exec(`
      begin;
      delete from cursor where name = 'tree' or name like 'tree %';
      delete from upload;
      delete from upload_state;
      delete from vault where kind = 'backup';
      update job set holder = '', leased_until = 0`)
    // -1: the database is right, and the tree is written from it: see volume/state.ts.
    const text = 'insert into cursor (name, sequence, moved_at) values (?, -1, 0)'
    database.prepare(text).run(place === '' ? 'tree' : `tree ${place}`)
    database.exec('commit')
  } finally {
    database.close()
  }
}
