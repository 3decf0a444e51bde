import { type Configuration, defaultConfiguration } from '../config/configuration.ts'
import { loadSettings } from '../config/settings.ts'

/** The configuration for a command that takes `[CONFIG] [--data DIR]`. @throws Error with the usage when there is more */
export async function configurationOf(
  [file, ...rest]: string[],
  data: string | undefined,
  usage: string,
): Promise<Configuration> {
  if (rest.length > 0) throw new Error(`too many arguments: "${rest.join(' ')}"\n\n${usage}`)
  const settings = await loadSettings({ file, data, env: process.env })
  const configuration = defaultConfiguration()
  configuration.storage.root = settings.data
  return configuration
}
