import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { createGcs, type GcsOptions } from '../../src/storage/object/gcs/client.ts'
import type { ObjectStore } from '../../src/storage/object/store.ts'
import { eventually } from './app.ts'
import { freePort } from './pebble.ts'
import { tethered } from './programs.ts'

export interface GcsServer {
  url: string
  makeBucket(name: string): Promise<void>
}

/** A server that speaks like Google's, without asking who calls, on loopback; ends after the tests of the file. */
export async function startGcs(): Promise<GcsServer> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-gcs-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const where = ['-backend', 'filesystem', '-filesystem-root', folder, '-scheme', 'http', '-host', '127.0.0.1']
  const args = [...where, '-port', String(port), '-public-host', `127.0.0.1:${port}`, '-external-url', url]
  const [command, ...rest] = [...tethered, 'fake-gcs-server', ...args, '-log-level', 'error']
  const child = spawn(command!, rest, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  after(async () => {
    child.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  })
  await eventually(() => fetch(`${url}/storage/v1/b`).catch(() => undefined))
  return {
    url,
    async makeBucket(name) {
      const headers = { 'Content-Type': 'application/json' }
      const answer = await fetch(`${url}/storage/v1/b`, { method: 'POST', headers, body: JSON.stringify({ name }) })
      if (!answer.ok) throw new Error(`cannot make ${name}: ${answer.status} ${await answer.text()}`)
    },
  }
}

/** A client of a bucket. */
export function gcsFor(url: string, bucket: string, more: Partial<GcsOptions> = {}): ObjectStore {
  let count = 0
  const deps = { clock: { now: () => new Date() }, id: () => `test-${count++}` }
  return createGcs({ bucket, endpoint: url, credentials: { kind: 'none' }, prefix: '', ...more }, deps)
}

/** The variables with which Holdfast keeps its images there. */
export function gcsEnv(url: string, bucket: string, { more = '', redirect = false } = {}): Record<string, string> {
  const gcs = `gcs: {bucket: ${bucket}, endpoint: "${url}"${more}}`
  return { REGISTRY_STORAGE: `{${gcs}, delete: {enabled: true}, redirect: {disable: ${!redirect}}}` }
}
