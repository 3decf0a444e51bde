import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Vault } from '../auth/vault.ts'
import type { Configuration } from '../config/configuration.ts'
import { secretsKeyKind } from '../keyring/sealed-vault.ts'
import { createKeys, signingKeyKind } from '../keyring/signing-keys.ts'
import { openAccounts } from '../metadata/accounts-alone.ts'
import { createLog } from '../platform/log.ts'
import { openKeys, openSecretKeys, openSecrets, openStorageAlone } from '../stores.ts'
import { failure } from './client/failure.ts'
import { configurationOf } from './configuration.ts'

const usage = `Usage: holdfast keys COMMAND [CONFIG] [--data DIR]

  rewrap                wraps the keys of the volume by the first of holdfast.storage.encryption.keys, and those of secrets in the
                        database by the first of holdfast.secrets.keys, so that the others can be taken out of the configuration.
                        Nothing else is touched, and registries may be running, if they know that key already
  export certificates   prints the certificate by which other registries trust tokens of this one, for their rootcertbundle (PEM)
  export jwks           prints the public keys that tokens are signed with now (JWKS)
  renew                 throws all keys away that sign tokens, also where the key of secrets is lost: the next start makes new ones.
                        Restart all registries then; tokens end, and other registries need the new certificate

  CONFIG        a registry:2 configuration file (config.yml)
  --data DIR    where images are kept (default ./data)
`

const clock = { now: () => new Date() }

/** `holdfast keys`: keys that others wrap, and keys that others should know. */
export async function run(args: string[]): Promise<void> {
  const options = { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const [name = '', ...rest] = positionals
  if (values.help) return void process.stdout.write(usage)
  if (name === 'rewrap') return rewrap(await configurationOf(rest, values.data, usage))
  if (name === 'renew') return renew(await configurationOf(rest, values.data, usage))
  if (name !== 'export') throw failure('usage', `unknown command "keys ${name}"\n\n${usage}`)
  const [form = '', ...more] = rest
  if (form !== 'certificates' && form !== 'jwks') throw failure('usage', `cannot export "${form}"\n\n${usage}`)
  await exportKeys(form, await configurationOf(more, values.data, usage))
}

async function rewrap(configuration: Configuration): Promise<void> {
  const { storage, secretKeys } = configuration
  const { encryption } = storage
  if (!encryption && secretKeys.length === 0)
    throw new Error(
      'holdfast.storage.encryption.keys and holdfast.secrets.keys are missing: there is nothing to wrap keys by',
    )
  if (encryption) {
    const keyring = (await openKeys(encryption, await openStorageAlone(configuration, clock), clock))!
    tell('volume', await keyring.rewrap(), encryption.keys)
  }
  if (secretKeys.length > 0)
    await withVault(configuration, async (vault) => {
      const keyring = (await openSecretKeys(secretKeys, vault, clock))!
      tell('database', await keyring.rewrap(), secretKeys)
    })
}

function tell(where: string, count: number, keys: { id: string }[]): void {
  const [first, ...others] = keys.map(({ id }) => JSON.stringify(id))
  process.stdout.write(
    `${count} ${count === 1 ? 'key' : 'keys'} of the ${where} wrapped anew, all are by ${first} now\n`,
  )
  if (others.length > 0) process.stdout.write(`no longer needed: ${others.join(', ')}\n`)
}

/** Where no registry has run yet the keys are made, so that others can be configured before it starts. */
async function exportKeys(form: 'certificates' | 'jwks', configuration: Configuration): Promise<void> {
  await withVault(configuration, async (vault) => {
    const log = createLog('warn', (line) => process.stderr.write(line), clock)
    const keys = createKeys({ vault: await openSecrets(configuration, vault, clock), clock, log })
    await keys.load()
    process.stdout.write(form === 'jwks' ? `${keys.jwks()}\n` : keys.certificates())
  })
}

async function renew(configuration: Configuration): Promise<void> {
  await withVault(configuration, async (vault) => {
    // In this order nothing is left that a registry which runs meanwhile has encrypted with a key that is gone.
    for (const kind of [secretsKeyKind, signingKeyKind])
      for (const { id } of await vault.list(kind)) await vault.delete(kind, id)
  })
  process.stdout.write('The next start makes new keys: restart all registries, and give others the new certificate\n')
}

async function withVault(
  { databaseUrl: url, storage }: Configuration,
  work: (vault: Vault) => Promise<void>,
): Promise<void> {
  const { vault, close } = await openAccounts({ url, folder: join(storage.root, 'holdfast'), clock })
  await work(vault).finally(close)
}
