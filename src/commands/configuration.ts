import type { Configuration } from '../config/configuration.ts'
import { loadConfiguration } from '../config/load.ts'

/** The configuration for a command that takes `[CONFIG] [--data DIR]`. @throws Error with the usage when there is more */
export async function configurationOf(
  [file, ...rest]: string[],
  data: string | undefined,
  usage: string,
): Promise<Configuration> {
  if (rest.length > 0) throw new Error(`too many arguments: "${rest.join(' ')}"\n\n${usage}`)
  return (await loadConfiguration({ file, flags: { data }, env: process.env })).configuration
}
