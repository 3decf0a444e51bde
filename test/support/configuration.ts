import type { Configuration } from '../../src/config/configuration.ts'
import { defaultConfiguration } from './defaults.ts'

/** The defaults with another folder and whatever a test changes. */
export function configurationFor(
  root: string,
  change: (configuration: Configuration) => void = () => {},
): Configuration {
  const configuration = defaultConfiguration()
  configuration.storage.root = root
  configuration.http.address = { host: '127.0.0.1', port: 0 }
  change(configuration)
  return configuration
}
