import { parseArgs } from 'node:util'
import type { Progress, Tell } from '../backup/back-up.ts'
import { openPlace } from '../backup/place.ts'
import type { Configuration } from '../config/configuration.ts'
import { configurationOf, configurationOfVolume } from './configuration.ts'

const usage = `Usage: holdfast backup DEST [CONFIG]           add a snapshot of a registry, which may be running
       holdfast backup ls SRC                  list the snapshots that are there
       holdfast backup verify SRC [CONFIG]     read a snapshot again, whole
       holdfast backup restore SRC [CONFIG]    make a server out of a snapshot, where there is none

DEST and SRC are folders or s3://BUCKET/PREFIX, with credentials from where S3's own tools take them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, ~/.aws, or the machine's role. What is backed up already is not copied again, and what was cut off goes
on. Encrypted blobs stay encrypted, and need the keys of CONFIG to be verified and restored.

  CONFIG           a registry:2 configuration file (config.yml)
  --data DIR       where images are kept (default ./data)
  --endpoint URL   another S3 server than Amazon's
  --region REGION  of the bucket (default AWS_REGION, or us-east-1)
  --keep N         remove all snapshots but the newest N, and blobs that none of those names
  --limit MIB      copy no more than so many MiB a second
  --recheck        read what the backup has as well, and copy again what is damaged there
  --at SNAPSHOT    another snapshot than the newest, with verify and restore
  --quick          look at the sizes of blobs only, with verify
  --partial        go on without blobs that are damaged in the backup, with restore

Ends with 0 when all is whole, 1 when blobs are missing or damaged (each is named, with images that break), 2 when it could not
be done.
`

const text = { type: 'string' } as const
const flag = { type: 'boolean', default: false } as const
const options = {
  ...{ data: text, endpoint: text, region: text, keep: text, limit: text, at: text },
  ...{ recheck: flag, quick: flag, partial: flag },
  help: { type: 'boolean', short: 'h' },
} as const

type Values = ReturnType<typeof read>['values']
const read = (args: string[]) => parseArgs({ args, allowPositionals: true, options })

const MiB = 1 << 20
const clock = { now: () => new Date() }
const say = (line: string) => process.stdout.write(`${line}\n`)

/** `holdfast backup`. */
export async function run(args: string[]): Promise<void> {
  const { values, positionals } = read(args)
  if (values.help) return void process.stdout.write(usage)
  const [first = ''] = positionals
  const verb = Object.hasOwn(verbs, first) ? verbs[first] : undefined
  const [address, ...rest] = verb ? positionals.slice(1) : positionals
  try {
    if (address === undefined) throw new Error(`what is missing is where to, or from where\n\n${usage}`)
    const isWhole = await (verb ?? make)(address, rest, values)
    process.exitCode = isWhole ? 0 : 1
  } catch (error) {
    throw Object.assign(error as Error, { exitCode: 2 })
  }
}

/** Each tells whether all is whole. */
type Verb = (address: string, rest: string[], values: Values) => Promise<boolean>

const make: Verb = async (address, rest, values) => {
  const keep = numberOf('keep', values.keep)
  const limit = numberOf('limit', values.limit)
  const configuration = await configurationOfVolume(rest, values.data, usage)
  const to = await open(address, values, true)
  const { backUp } = await import('../backup/back-up.ts')
  const made = await backUp({
    configuration,
    clock,
    to,
    tell,
    keep,
    recheck: values.recheck,
    limit: limit && limit * MiB,
  })
  say(
    `Backed up as ${made.name}: ${made.blobs} blobs of ${made.bytes} bytes, of which ${amount(made.copied)} were copied.`,
  )
  if (made.lacking.length > 0) say(`${made.lacking.length} blobs could not be copied: they are named above.`)
  return made.lacking.length === 0
}

function numberOf(name: string, value: string | undefined): number | undefined {
  const number = value === undefined ? undefined : Number(value)
  if (number === undefined || (Number.isSafeInteger(number) && number > 0)) return number
  throw new Error(`--${name} is ${JSON.stringify(value)}: expected a whole number from 1 on`)
}

const verbs: Record<string, Verb> = {
  async ls(address, rest, values) {
    if (rest.length > 0) throw new Error(`too many arguments: "${rest.join(' ')}"\n\n${usage}`)
    const from = await open(address, values, false)
    const { listSnapshots, readSnapshot } = await import('../backup/snapshots.ts')
    let isWhole = true
    for (const name of await listSnapshots(from)) {
      const found = await readSnapshot(from, name).catch((error: Error) => error)
      const isBad = found instanceof Error
      isWhole &&= !isBad
      const lack = isBad || found.lacking.length === 0 ? '' : `, ${found.lacking.length} of them missing`
      say(isBad ? found.message : `${name}  ${found.blobs} blobs of ${found.bytes} bytes${lack}`)
    }
    return isWhole
  },

  async verify(address, rest, values) {
    const configuration = await configurationOf(rest, values.data, usage)
    const from = await open(address, values, false)
    const { verify } = await import('../backup/verify.ts')
    const found = await verify({ ...common(configuration, from, values), isQuick: values.quick })
    const how = values.quick ? 'there in its size' : 'whole'
    say(
      found.wrong === 0
        ? `${found.name}: the database and each of ${found.blobs} blobs is ${how}.`
        : `${found.name}: ${found.wrong} of ${found.blobs} blobs are missing or damaged; "holdfast backup --recheck" copies them again.`,
    )
    return found.wrong === 0
  },

  async restore(address, rest, values) {
    const configuration = await configurationOf(rest, values.data, usage)
    const from = await open(address, values, false)
    const { restore } = await import('../backup/restore.ts')
    const done = await restore({ ...common(configuration, from, values), isPartial: values.partial })
    say(`Restored ${done.name}: ${done.blobs - done.lacking.length} blobs, each hashed, and the database, compared.`)
    return done.lacking.length === 0
  },
}

type Source = Awaited<ReturnType<typeof openPlace>>
const common = (configuration: Configuration, from: Source, { at }: Values) => ({
  ...{ configuration, clock, from, tell },
  snapshot: at,
})

async function open(address: string, { endpoint, region }: Values, mayMake: boolean): Promise<Source> {
  const { AWS_REGION: usual } = process.env
  return openPlace(address, { endpoint, region: region ?? usual, mayMake, clock })
}

const everyMs = 5000
let told = performance.now()

const tell: Tell = {
  progress(progress) {
    if (performance.now() - told < everyMs) return
    told = performance.now()
    process.stderr.write(`${progress.done} of ${progress.of} blobs looked at, ${amount(progress)} copied\n`)
  },
  problem(digest, problem, images) {
    const broken = images.length > 0 ? ` (needed by ${images.join(', ')})` : ''
    process.stderr.write(`${digest} ${problem}${broken}\n`)
  },
}

const amount = ({ copied, copiedBytes }: Progress) => `${copied} (${copiedBytes} bytes)`
