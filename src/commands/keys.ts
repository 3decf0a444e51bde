import { parseArgs } from 'node:util'
import { openKeys, openStorageAlone } from '../stores.ts'
import { configurationOf } from './configuration.ts'

const usage = `Usage: holdfast keys rewrap [CONFIG] [--data DIR]

Wraps the keys of the volume by the first of holdfast.storage.encryption.keys, so that the others can be taken out of the
configuration. Blobs are not touched, and registries may be running, if they know that key already.

  CONFIG        a registry:2 configuration file (config.yml)
  --data DIR    where images are kept (default ./data)
`

/** `holdfast keys`: changes the keys that blobs are encrypted with. */
export async function run(args: string[]): Promise<void> {
  const options = { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const [name = '', ...rest] = positionals
  if (values.help) return void process.stdout.write(usage)
  if (name !== 'rewrap') throw new Error(`unknown command "keys ${name}"\n\n${usage}`)
  const configuration = await configurationOf(rest, values.data, usage)
  const { encryption } = configuration.storage
  if (!encryption) throw new Error('holdfast.storage.encryption.keys is missing: there is nothing to wrap keys by')
  const clock = { now: () => new Date() }
  const keyring = (await openKeys(encryption, await openStorageAlone(configuration, clock), clock))!
  const count = await keyring.rewrap()
  const [first, ...others] = encryption.keys.map(({ id }) => JSON.stringify(id))
  process.stdout.write(`${count} ${count === 1 ? 'key' : 'keys'} of the volume wrapped anew, all are by ${first} now\n`)
  if (others.length > 0) process.stdout.write(`no longer needed: ${others.join(', ')}\n`)
}
