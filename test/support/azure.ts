import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type AzureOptions, createAzure } from '../../src/storage/object/azure/client.ts'
import { sharedKey } from '../../src/storage/object/azure/signing.ts'
import type { ObjectStore } from '../../src/storage/object/store.ts'
import { eventually } from './app.ts'
import { freePort } from './pebble.ts'
import { tethered } from './programs.ts'

// Azurite's own account, which everybody knows.
const account = 'devstoreaccount1'
const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
const clock = { now: () => new Date() }

export interface AzureServer {
  url: string
  makeContainer(name: string): Promise<void>
}

/** Azure's emulator, which checks signatures, on loopback; ends after the tests of the file. */
export async function startAzure(): Promise<AzureServer> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-azure-'))
  const port = await freePort()
  const args = [
    '--location',
    folder,
    '--blobPort',
    String(port),
    '--skipApiVersionCheck',
    '--silent',
    '--disableTelemetry',
  ]
  const [command, ...rest] = [...tethered, 'azurite-blob', ...args]
  const child = spawn(command!, rest, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  after(async () => {
    child.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}/${account}`
  await eventually(() => fetch(url).catch(() => undefined), 30_000)
  return { url, makeContainer: (name) => makeContainer(url, name) }
}

async function makeContainer(url: string, name: string): Promise<void> {
  const path = `/${account}/${name}`
  const query = { restype: 'container' }
  const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' }
  const authorization = sharedKey(key, { account, method: 'PUT', path, query, headers })
  const answer = await fetch(`${url}/${name}?restype=container`, {
    method: 'PUT',
    headers: { ...headers, authorization },
  })
  if (answer.status !== 201) throw new Error(`cannot make ${name}: ${answer.status} ${await answer.text()}`)
}

/** A client of a container. */
export function azureFor(url: string, container: string, more: Partial<AzureOptions> = {}): ObjectStore {
  let count = 0
  const id = () => `test-${String(count++).padStart(31, '0')}`
  const credentials = { kind: 'key', key } as const
  const options = { account, container, serviceUrl: url, credentials, prefix: '', skipVerify: false }
  return createAzure({ ...options, ...more }, { clock, id })
}

/** A shared access signature for the account: everything below it, for an hour. */
export function accountSignature(): string {
  const [sv, ss, srt, sp] = ['2021-12-02', 'b', 'co', 'rwdlac']
  const se = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z')
  const text = [account, sp, ss, srt, '', se, '', '', sv, '', ''].join('\n')
  const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64')
  return new URLSearchParams({ sv, ss, srt, sp, se, sig }).toString()
}

/** A container as it stands in a configuration file, for Holdfast as for registry:3. */
export function azureDriver(url: string, container: string, more = ''): string {
  return `azure: {accountname: ${account}, accountkey: "${key}", container: ${container}, serviceurl: "${url}"${more}}`
}

/** The variables with which Holdfast keeps its images there. */
export function azureEnv(url: string, container: string, { more = '', redirect = false } = {}): Record<string, string> {
  const parts = [azureDriver(url, container, more), 'delete: {enabled: true}', `redirect: {disable: ${!redirect}}`]
  return { REGISTRY_STORAGE: `{${parts.join(', ')}}` }
}
