import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { bootedAt, followersDuty } from '../app.ts'
import { createCollector } from '../collection/collector.ts'
import { lineOf } from '../collection/kept.ts'
import type { Configuration } from '../config/configuration.ts'
import { createLog } from '../platform/log.ts'
import { rescuing } from '../storage/rescuing.ts'
import { openStores } from '../stores.ts'
import { createSharedVolume } from '../volume/shared-volume.ts'
import { createVolume } from '../volume/volume.ts'
import { configurationOfVolume } from './configuration.ts'

const usage = `Usage: holdfast garbage-collect CONFIG [--dry-run] [--delete-untagged] [--quiet] [--force]

Deletes the blobs of a stopped registry that nothing refers to. A registry that runs does that by itself; to have it done at once:
holdfast admin gc

  CONFIG                 a registry:2 configuration file (config.yml)
  --data DIR             where images are kept, instead of CONFIG
  -d, --dry-run          only tell what would go
  -m, --delete-untagged  move manifests that no tag, index or subject keeps to the trash as well
  -q, --quiet            print nothing
  --force                also when more would go than holdfast.gc.fuse allows
`

interface Wanted {
  'dry-run': boolean
  'delete-untagged': boolean
  quiet: boolean
  force: boolean
}

/** No node is on duty for so long, while this one collects. */
const leaseSeconds = 86_400

/** `holdfast garbage-collect`, spelled as in registry:2. */
export async function run(args: string[]): Promise<void> {
  const no = { type: 'boolean', default: false } as const
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      'dry-run': { ...no, short: 'd' },
      'delete-untagged': { ...no, short: 'm' },
      quiet: { ...no, short: 'q' },
      force: no,
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return void process.stdout.write(usage)
  const configuration = await configurationOfVolume(positionals, values.data, usage)
  const clock = { now: () => new Date() }
  const { storage, store } = await openStores({ configuration, clock }).catch((cause: Error) => {
    const isBusy = cause.message.includes('another Holdfast is using it')
    throw isBusy
      ? new Error(`${cause.message}. One that runs collects by itself; to have it done at once: holdfast admin gc`)
      : cause
  })
  const node = randomUUID()
  const isShared = configuration.databaseUrl !== undefined
  try {
    if (isShared && !(await store.jobs.claim(followersDuty, node, leaseSeconds)))
      throw new Error(
        'a Holdfast is using the database, and collects by itself; to have it done at once: holdfast admin gc',
      )
    const isDone = await collect({ configuration, storage: rescuing(storage, store.collection), store, clock }, values)
    process.exitCode = isDone ? 0 : 1
  } finally {
    if (isShared) await store.jobs.release(followersDuty, node, 0)
    await store.close()
  }
}

interface Parts extends Awaited<ReturnType<typeof openStores>> {
  configuration: Configuration
  clock: { now(): Date }
}

/** False when the fuse has stopped it. */
async function collect({ configuration, storage, store, clock }: Parts, wanted: Wanted): Promise<boolean> {
  const log = createLog('error', (line) => process.stderr.write(line), clock)
  const isRemote = configuration.storage.objects !== undefined
  const follow = configuration.storage.followTree
  const kept = { storage, store, log, clock, follow, isRemote }
  const volume =
    configuration.databaseUrl === undefined
      ? createVolume({ ...kept, bootedAt: bootedAt(clock) })
      : createSharedVolume(kept)
  const facts = store.collection
  const collector = createCollector({
    ...{ facts, storage, log, configuration, clock, follow },
    isServing: false,
    breathe: async () => {},
  })
  const untagged = wanted['delete-untagged'] || configuration.collection.untagged
  const tell = (text: string) => !wanted.quiet && process.stdout.write(text)
  const tellKept = async () => {
    for (const kept of await collector.kept(untagged)) tell(`${lineOf(kept)}\n`)
  }
  await volume.begin()
  try {
    if (!(await volume.passed()))
      throw new Error('the volume could not be read whole, so nothing is collected: holdfast fsck says more')
    await facts.resume(clock.now().getTime())
    await collector.prepare()
    if (wanted['dry-run']) {
      const { untagged: loose, trash, garbage, doomed, objection } = await collector.plan(untagged)
      if (untagged) tell(`${loose} untagged manifests would go to the trash\n`)
      tell(`${trash.count} manifests and blobs of the trash would go: ${trash.bytes} bytes\n`)
      tell(`${garbage.count} blobs would go: ${garbage.bytes} bytes; ${doomed.count} files are already nobody's\n`)
      if (objection) tell(`but: ${objection}\n`)
      await tellKept()
      return true
    }
    const done = await collector.run({ force: wanted.force, untagged, sweep: !isRemote })
    if (done.untagged > 0) tell(`${done.untagged} untagged manifests went to the trash (holdfast.trash.keep)\n`)
    tell(`${done.manifests} manifests of the trash and ${done.blobs} blobs went: ${done.bytes} bytes\n`)
    if (done.strays > 0) tell(`${done.strays} files that nobody knows went\n`)
    await tellKept()
    return done.objection === undefined
  } finally {
    await volume.end()
  }
}
