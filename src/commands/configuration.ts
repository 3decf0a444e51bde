import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Configuration } from '../config/configuration.ts'
import { loadConfiguration } from '../config/load.ts'
import { createLog } from '../platform/log.ts'
import { failure } from './client/failure.ts'
import { filesOf, runAsOwner } from './privileges.ts'

/**
 * The configuration for a command that takes `[CONFIG] [--data DIR]`. A command of root goes on as the owner of the volume, if
 * there is one, so that the registry can use what it leaves.
 * @throws Error with the usage when there is more
 */
export async function configurationOf(
  [file, ...rest]: string[],
  data: string | undefined,
  usage: string,
): Promise<Configuration> {
  if (rest.length > 0) throw failure('usage', `too many arguments: "${rest.join(' ')}"\n\n${usage}`)
  const { configuration } = await loadConfiguration({ file, flags: { data }, env: process.env })
  runAsOwner(
    configuration.storage.root,
    configuration.storage.encryption || configuration.secretKeys.length > 0 ? filesOf(configuration) : [],
    createLog('warn', (line) => process.stderr.write(line), { now: () => new Date() }),
  )
  return configuration
}

/** The same for a command on a volume. @throws Error also when there is none */
export async function configurationOfVolume(...args: Parameters<typeof configurationOf>): Promise<Configuration> {
  const configuration = await configurationOf(...args)
  const { root, objects } = configuration.storage
  if (!objects && !['docker/registry/v2', 'holdfast/holdfast.db'].some((path) => existsSync(join(root, path))))
    throw new Error(`There is no volume in ${root}; name its folder with --data DIR or its configuration file`)
  return configuration
}
