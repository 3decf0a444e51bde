import { parseArgs } from 'node:util'
import { randomUUID } from 'node:crypto'
import { bootedAt, followersDuty } from '../app.ts'
import { createLog } from '../platform/log.ts'
import { openStores } from '../stores.ts'
import { type Finding, fsck, type Remarked } from '../volume/fsck.ts'
import { configurationOfVolume } from './configuration.ts'

const usage = `Usage: holdfast fsck [CONFIG] [--data DIR] [--repair] [--json]

Checks a volume that no registry is running on: one line for each thing that is wrong, with what would be done about it.
Files that nobody knows, or that were moved aside, are told as well; they are nothing wrong.
Ends with 0 when nothing is wrong, 1 when something is and stays so, 2 when it could not check.

  CONFIG        a registry:2 configuration file (config.yml)
  --data DIR    where images are kept (default ./data)
  --repair      do it; bytes that are gone or damaged are taken from a backup (holdfast.scrub.repairfrom) first
  --json        one JSON object for each line
`

/** `holdfast fsck`: lists what is damaged in a volume, and mends it on request. */
export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      repair: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return void process.stdout.write(usage)
  try {
    const configuration = await configurationOfVolume(positionals, values.data, usage)
    process.exitCode = (await check(configuration, values)) ? 0 : 1
  } catch (error) {
    throw Object.assign(error as Error, { exitCode: 2 })
  }
}

/** No node is on duty for so long, while this one looks. */
const leaseSeconds = 86_400

/** Whether nothing is wrong any more. */
async function check(
  configuration: Parameters<typeof openStores>[0]['configuration'],
  { repair, json }: { repair: boolean; json: boolean },
): Promise<boolean> {
  const clock = { now: () => new Date() }
  const log = createLog('warn', (line) => process.stderr.write(line), clock)
  const { storage, store } = await openStores({ configuration, clock })
  let [wrong, mended] = [0, 0]
  const onFinding = (finding: Finding) => {
    wrong++
    if (finding.mended) mended++
    process.stdout.write(json ? `${JSON.stringify(finding)}\n` : lineOf(finding))
  }
  const onRemark = (file: Remarked) =>
    void process.stdout.write(
      json ? `${JSON.stringify(file)}\n` : `${file.path}: ${file.size} bytes that ${file.remark}\n`,
    )
  const node = randomUUID()
  const isShared = configuration.databaseUrl !== undefined
  try {
    if (isShared && !(await store.jobs.claim(followersDuty, node, leaseSeconds)))
      throw new Error('another Holdfast is using the database; stop it, or wait half a minute if it was killed')
    const repairFrom =
      configuration.scrub.repairFrom === undefined
        ? undefined
        : (await import('../backup/repair-source.ts')).createRepairSource({ configuration, clock })
    await fsck({ storage, store, log, bootedAt: bootedAt(clock), repair, repairFrom, onFinding, onRemark })
  } finally {
    if (isShared) await store.jobs.release(followersDuty, node, 0)
    await store.close()
  }
  if (!json) process.stdout.write(summaryOf(wrong, mended, repair))
  return wrong === mended
}

function lineOf({ path, problem, mend, mended }: Finding): string {
  const remedy = mend === undefined ? 'cannot be mended here' : mended ? `done: ${mend}` : `--repair would: ${mend}`
  return `${path}: ${problem} (${remedy})\n`
}

function summaryOf(wrong: number, mended: number, repair: boolean): string {
  if (wrong === 0) return 'nothing is wrong\n'
  return repair ? `${wrong} found, ${mended} mended\n` : `${wrong} found\n`
}
