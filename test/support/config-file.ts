import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Loaded, loadConfiguration, type Sources } from '../../src/config/load.ts'

/** Runs `use` with the path of a configuration file that holds this text. */
export async function withConfigFile<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-config-'))
  try {
    const file = join(folder, 'config.yml')
    await writeFile(file, text)
    return await use(file)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Loads the configuration from this text, with `version: 0.1` before it, so that its first line is line 2. */
export function loadText(text: string, sources: Partial<Sources> = {}): Promise<Loaded> {
  return withConfigFile(`version: 0.1\n${text}`, (file) => loadConfiguration({ file, env: {}, ...sources }))
}
