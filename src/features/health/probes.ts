import { access } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import type { Configuration, HealthConfiguration } from '../../config/configuration.ts'
import { send, withoutCredentials } from '../../platform/send.ts'
import type { StorageDriver } from '../../registry/ports/storage.ts'
import type { Check } from './checks.ts'

const defaultTimeoutMs = 5000
/** A disk that takes longer is no better than none. */
const storageTimeoutMs = 10_000
const probePath = 'holdfast/health-probe'

/** The checks that are configured, under registry:2's names. */
export function configuredChecks({ health, storage: kept }: Configuration, driver: StorageDriver): Check[] {
  const { storage, files, http, tcp } = health
  const checks: Check[] = []
  if (storage.enabled)
    checks.push({
      name: `storagedriver_${kept.objects?.kind ?? 'filesystem'}`,
      ...storage,
      run: () => probeStorage(driver),
    })
  for (const { path, intervalMs } of files)
    checks.push({ name: path, intervalMs, threshold: 1, run: () => probeFile(path) })
  for (const check of http) checks.push({ ...check, name: withoutCredentials(check.url), run: () => probeHttp(check) })
  for (const check of tcp) checks.push({ ...check, name: `${check.host}:${check.port}`, run: () => probeTcp(check) })
  return checks
}

/** Writes, sees and reads a few bytes, which stay: other nodes may be about to read them. */
async function probeStorage(driver: StorageDriver): Promise<void> {
  const content = Buffer.from('still here')
  const probe = async () => {
    await driver.put(probePath, content, new Date(0))
    if ((await driver.stat(probePath))?.size !== content.length) throw new Error('what was written is not there')
    if (!(await driver.get(probePath))?.equals(content)) throw new Error('other bytes are read than were written')
  }
  // Where the error says a path, the path is not for everyone who may see the state.
  await within(storageTimeoutMs, probe()).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`the storage fails: ${error.code ?? error.message}`, { cause: error })
  })
}

async function probeFile(path: string): Promise<void> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  if (isThere) throw new Error('file exists')
}

async function probeHttp({ url, status, headers, timeoutMs }: HealthConfiguration['http'][number]): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs || defaultTimeoutMs)
  const answered = await send(url, { method: 'HEAD', headers, signal }).catch((cause: unknown) => {
    throw new Error('downstream service does not answer', { cause })
  })
  if (answered !== status)
    throw new Error(`downstream service returned unexpected status: ${answered}, expected ${status}`)
}

async function probeTcp({ host, port, timeoutMs }: HealthConfiguration['tcp'][number]): Promise<void> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs || defaultTimeoutMs) })
  } catch (cause) {
    throw new Error(`connection to ${host}:${port} failed`, { cause })
  } finally {
    socket.destroy()
  }
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms / 1000} s`)), ms)
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer))
}
