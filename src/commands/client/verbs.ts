import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { failure } from './failure.ts'
import type { Form } from './output.ts'
import { type Registry, registryOf } from './registry.ts'

type Values = Record<string, string | boolean | string[] | undefined>

/** What a verb is given. */
export interface Given {
  /** As many as its usage names. */
  names: string[]
  text(option: string): string | undefined
  texts(option: string): string[] | undefined
  has(option: string): boolean
  form: Form
  registry(): Registry
}

export interface Verb {
  /** How many names follow the verb, or from how many to how many. */
  names: number | readonly [number, number]
  run(given: Given): Promise<void>
}

const common = {
  output: { type: 'string', short: 'o' },
  registry: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

/** The options that all of these commands have, for their usage. */
export const commonUsage = `
  --registry HOST       which registry, instead of the one of the last login (HOLDFAST_URL)
  -o table|json|name    how to print
`

interface Group {
  usage: string
  options?: ParseArgsOptionsConfig
  verbs: Record<string, Verb>
}

/** Runs the verb that the arguments begin with. @throws Error with the usage and exit code 2 when it is none */
export async function runVerb({ usage, options = {}, verbs }: Group, args: string[]): Promise<void> {
  let parsed: { values: Values; positionals: string[] }
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: { ...common, ...options } })
  } catch (error) {
    throw failure('usage', `${(error as Error).message}\n\n${usage}`)
  }
  const { values, positionals } = parsed
  if (values.help) return void process.stdout.write(usage)
  const [first = ''] = positionals
  const name = Object.hasOwn(verbs, first) ? first : ''
  const verb = verbs[name]
  const names = name === '' ? positionals : positionals.slice(1)
  const [least, most] = typeof verb?.names === 'number' ? [verb.names, verb.names] : (verb?.names ?? [0, 0])
  if (!verb || names.length < least || names.length > most) throw failure('usage', usage)
  const form = (values.output ?? 'table') as Form
  if (!['table', 'json', 'name'].includes(form)) throw failure('usage', `-o ${form}: expected table, json or name`)
  await verb.run({
    names,
    text: (option) => values[option] as string | undefined,
    texts: (option) => values[option] as string[] | undefined,
    has: (option) => values[option] !== undefined,
    form,
    registry: () => registryOf(values.registry as string | undefined),
  })
}
