import { parseArgs } from 'node:util'
import { loadConfiguration } from '../config/load.ts'
import { ConfigurationError } from '../config/problems.ts'
import { failure } from './client/failure.ts'

const usage = `Usage: holdfast config COMMAND

  check [CONFIG]              say what is wrong and what is not honoured; exits with 1 when it cannot be used
                              (certificates and lists of users are read when the registry starts)
  show [CONFIG] [--origin]    print what holds, as a file; --origin says where each value comes from
  explain [KEY]               say what a key means (all of them without one)
  schema                      print the JSON Schema of the file, for editors
  init                        print a file to start from

REGISTRY_* and HOLDFAST_* variables count as they do for "holdfast serve". Secrets are never printed.
`

type Subcommand = (args: { positional: string | undefined; origin: boolean }) => Promise<string>

const subcommands: Record<string, Subcommand> = {
  check: ({ positional }) => check(positional),
  async show({ positional: file, origin }) {
    const { reading, warnings } = await loadConfiguration({ file, env: process.env })
    for (const warning of warnings) process.stderr.write(`warning  ${warning}\n`)
    const { show } = await import('../config/show.ts')
    return show(reading, origin)
  },
  explain: async ({ positional: key }) => (await import('../config/explain.ts')).explain(key),
  schema: async () => `${JSON.stringify((await import('../config/json-schema.ts')).jsonSchema(), null, 2)}\n`,
  init: async () => (await import('../config/starter-file.ts')).starterFile(),
}

/** `holdfast config`: looks at configurations without starting anything. */
export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { origin: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
  })
  const [name = '', positional, ...rest] = positionals
  if (values.help || name === 'help') return void process.stdout.write(usage)
  const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
  if (!subcommand) throw failure('usage', `unknown command "config ${name}"\n\n${usage}`)
  if (rest.length > 0) throw failure('usage', `too many arguments: "${rest.join(' ')}"\n\n${usage}`)
  process.stdout.write(await subcommand({ positional, origin: values.origin }))
}

async function check(file: string | undefined): Promise<string> {
  try {
    const { warnings, notes, reading } = await loadConfiguration({ file, env: process.env })
    const given = [...reading.origins].filter(([path]) => reading.texts.has(path) && !reading.unused.has(path))
    const honoured = given.map(([path, { name }]) => `ok       ${name}: ${path}\n`)
    const unused = notes.map((note) => `unused   ${note}\n`)
    const noted = warnings.map((warning) => `warning  ${warning}\n`)
    return `${honoured.join('')}${unused.join('')}${noted.join('')}${summary(0, warnings.length)}`
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    process.exitCode = 1
    const errors = error.errors.map((line) => `error    ${line}\n`)
    const noted = error.warnings.map((line) => `warning  ${line}\n`)
    return `${errors.join('')}${noted.join('')}${summary(error.errors.length, error.warnings.length)}`
  }
}

function summary(errors: number, warnings: number): string {
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`
  return `${errors === 0 ? 'The configuration can be used' : 'The configuration cannot be used'}: ${count(errors, 'error')}, ${count(warnings, 'warning')}.\n`
}
