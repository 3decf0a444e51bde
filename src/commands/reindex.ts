import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bootedAt } from '../app.ts'
import { readKept, writeKept } from '../metadata/copy/carry.ts'
import { createLog } from '../platform/log.ts'
import { openStores } from '../stores.ts'
import { createVolume } from '../volume/volume.ts'
import { configurationOfVolume } from './configuration.ts'

const usage = `Usage: holdfast reindex [CONFIG] [--data DIR]

Makes the database anew from the files of a volume that no registry is running on. Accounts come
over from the old database, which is kept beside the new one.

  CONFIG        a registry:2 configuration file (config.yml)
  --data DIR    where images are kept (default ./data)
`

/** `holdfast reindex`: for a database that is lost or damaged. */
export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) return void process.stdout.write(usage)
  const configuration = await configurationOfVolume(positionals, values.data, usage)
  const clock = { now: () => new Date() }
  const log = createLog('info', (line) => process.stdout.write(line), clock)
  const folder = join(configuration.storage.root, 'holdfast')
  // Accounts are in no file of the volume, and without them a registry could be open that was not.
  const kept = await readKept(folder).catch((error: Error) => {
    const hint =
      'until accounts are made again, or a backup is restored, only holdfast.access: closed keeps strangers out'
    log.error('reindex.accounts-lost', { error: error.message, hint })
    return []
  })
  const { storage, store } = await openStores({ configuration, clock, anew: true })
  try {
    writeKept(folder, kept)
    const volume = createVolume({ storage, store, log, clock, bootedAt: bootedAt(clock), follow: true })
    await volume.begin()
    if (!(await volume.passed())) process.exitCode = 1
    await volume.end()
  } finally {
    await store.close()
  }
}
