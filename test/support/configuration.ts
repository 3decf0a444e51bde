import { type Configuration, defaultConfiguration } from '../../src/config/configuration.ts'

/** The defaults with another folder and whatever a test changes. */
export function configurationFor(
  root: string,
  change: (configuration: Configuration) => void = () => {},
): Configuration {
  const configuration = defaultConfiguration()
  configuration.storage.root = root
  change(configuration)
  return configuration
}
