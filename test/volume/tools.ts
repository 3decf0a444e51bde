import { chmod, cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { bootedAt, createApp } from '../../src/app.ts'
import type { Configuration } from '../../src/config/configuration.ts'
import { openStores } from '../../src/stores.ts'
import { type Finding, fsck } from '../../src/volume/fsck.ts'
import { configurationFor } from '../support/configuration.ts'

const clock = { now: () => new Date() }
const parent = await mkdtemp(join(tmpdir(), 'holdfast-volumes-'))
await chmod(parent, 0o755) // some tests run the server as somebody else
after(() => rm(parent, { recursive: true, force: true }))

export interface Serving {
  url: string
  /** Each line of the log so far. */
  logged: string[]
  close(): Promise<void>
}

/** A folder that is removed after all tests; as a copy of another with its times if one is given. */
export async function makeVolume(original?: string): Promise<string> {
  const folder = await mkdtemp(join(parent, 'volume-'))
  if (original) await cp(original, folder, { recursive: true, preserveTimestamps: true })
  return folder
}

function logTo(lines: string[]) {
  const log = (event: string, fields: Record<string, unknown> = {}) =>
    void lines.push(`${event} ${JSON.stringify(fields)}`)
  return { debug: log, info: log, warn: log, error: log }
}

/** The registry in this process, on any port. */
export async function serve(data: string, change?: (configuration: Configuration) => void): Promise<Serving> {
  const logged: string[] = []
  const app = await createApp({ configuration: configurationFor(data, change), log: logTo(logged), clock })
  const { address } = await app.listen()
  const port = 'port' in address ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, logged, close: () => app.close(0) }
}

/** What `holdfast fsck` finds. */
export async function check(data: string, repair = false): Promise<Finding[]> {
  const { storage, store } = await openStores({ configuration: configurationFor(data), clock })
  const findings: Finding[] = []
  try {
    const onFinding = (finding: Finding) => void findings.push(finding)
    await fsck({ storage, store, log: logTo([]), bootedAt: bootedAt(clock), repair, onFinding })
  } finally {
    await store.close()
  }
  return findings
}
