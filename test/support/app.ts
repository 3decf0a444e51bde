import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type App, createApp } from '../../src/app.ts'
import type { Configuration } from '../../src/config/configuration.ts'
import type { Pace } from '../../src/listen/watchdog.ts'
import { createLog } from '../../src/platform/log.ts'
import { configurationFor } from './configuration.ts'

export interface TestApp extends App {
  folder: string
  port: number
  debugPort: number
  /** What was logged so far, and the access log. */
  logged(): string
  accessed(): string
}

interface Options {
  folder?: string
  clock?: { now(): Date }
  pace?: Partial<Pace>
  /** Done when it is clear where everything lies, before anything starts. */
  prepare?(): Promise<void>
}

/** The real parts in this process, configured by the test and ended after it. */
export async function useApp(
  change: (configuration: Configuration, folder: string) => void = () => {},
  options: Options = {},
): Promise<TestApp> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'holdfast-app-')))
  let [logged, accessed] = ['', '']
  const configuration = configurationFor(join(folder, 'data'), (changed) => change(changed, folder))
  await options.prepare?.()
  const app = await createApp({
    configuration,
    log: createLog('debug', (line) => (logged += line), { now: () => new Date() }),
    ...(options.clock && { clock: options.clock }),
    ...(options.pace && { pace: options.pace }),
    writeAccess: (lines) => (accessed += lines),
  })
  const { address, debug } = await app.listen()
  let closed = false
  const close = async (graceMs?: number) => {
    if (!closed) await app.close(graceMs)
    closed = true
  }
  after(async () => {
    await close(0)
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true })
  })
  const portOf = (bound: typeof address | undefined) => (bound && 'port' in bound ? bound.port : 0)
  return {
    ...app,
    close,
    folder,
    port: portOf(address),
    debugPort: portOf(debug),
    logged: () => logged,
    accessed: () => accessed,
  }
}

/** Waits until something holds; there is an event for it nowhere. */
export async function eventually<T>(look: () => T | Promise<T>, limitMs = 10_000): Promise<NonNullable<T>> {
  for (const end = Date.now() + limitMs; ;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`Waited ${limitMs} ms for ${look.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
