import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Configuration } from '../config/configuration.ts'
import { copyDatabase, nameOfPlace, type Place } from '../metadata/copy/index.ts'
import { databasePlace } from '../stores.ts'
import { failure } from './client/failure.ts'
import { configurationOf } from './configuration.ts'

const usage = `Usage: holdfast db COMMAND

  migrate TO [CONFIG]      copy the database of a stopped registry to a place that has none:
                           postgres://USER@HOST:PORT/DATABASE, "sqlite" (beside the images), or another data folder
  backup FILE [CONFIG]     write a consistent copy to a new file, also while registries run; FILE may be a folder
  restore FILE [CONFIG]    put such a copy where the configuration says, if there is no database yet; one that is
                           damaged gets another name

  CONFIG        a registry:2 configuration file (config.yml)
  --data DIR    where images are kept (default ./data)

Every copy is read back and compared before it counts. Blobs are not part of it: back up the folder or the bucket after the database.
`

/** `holdfast db`: moves, backs up and restores the database. */
export async function run(args: string[]): Promise<void> {
  const options = { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const [name = '', target, ...rest] = positionals
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (values.help) return void process.stdout.write(usage)
  if (!command || target === undefined)
    throw failure(
      'usage',
      command ? `db ${name}: what is missing is where to\n\n${usage}` : `unknown command "db ${name}"\n\n${usage}`,
    )
  await command(target, await configurationOf(rest, values.data, usage))
}

const commands: Record<string, (target: string, configuration: Configuration) => Promise<void>> = {
  async migrate(target, configuration) {
    const from = databasePlace(configuration)
    const to = placeOf(target, configuration)
    if (nameOfPlace(from) === nameOfPlace(to)) throw new Error(`the database is in ${nameOfPlace(to)} already`)
    await copy(from, to, false)
    const change = 'url' in to ? 'set holdfast.database.url to it' : 'remove holdfast.database.url'
    say(`Now ${change} in the configuration and start Holdfast again. ${nameOfPlace(from)} stays as it was.`)
  },

  async backup(target, configuration) {
    const isFolder = statSync(target, { throwIfNoEntry: false })?.isDirectory()
    const moment = new Date().toISOString().replaceAll(/[:.]/g, '-')
    await copy(databasePlace(configuration), { file: isFolder ? join(target, `holdfast-${moment}.db`) : target }, true)
  },

  async restore(target, configuration) {
    await copy({ file: target }, databasePlace(configuration), false, true)
    say(
      'At its start Holdfast compares it with the volume and takes in what was pushed since; holdfast fsck shows what differs.',
    )
  },
}

async function copy(from: Place, to: Place, online: boolean, mayReplace = false): Promise<void> {
  const copied = await copyDatabase(from, to, { online, mayReplace })
  for (const { table, rows } of copied) say(`${table.padEnd(12)} ${rows}`)
  say(
    `Copied from ${nameOfPlace(from)} to ${nameOfPlace(to)}, and every table compared by the number and digest of its rows.`,
  )
}

function placeOf(target: string, { storage }: Configuration): Place {
  if (/^postgres(ql)?:\/\//i.test(target) && URL.canParse(target)) return { url: target }
  if (target.includes('://'))
    throw new Error('expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, "sqlite" or the path of a data folder')
  return { folder: join(target === 'sqlite' ? storage.root : resolve(target), 'holdfast') }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
