import { rm } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { parseArgs } from 'node:util'
import { type Loaded, loadConfiguration } from '../config/load.ts'
import { type Address, nameOf } from '../listen/bind.ts'
import { createLog } from '../platform/log.ts'
import { processCount } from '../processes/count.ts'
import { failure } from './client/failure.ts'
import { filesOf, runAsOwner } from './privileges.ts'

const usage = `Usage: holdfast serve [CONFIG] [--addr HOST:PORT] [--data DIR]

  CONFIG              a configuration file of registry:2, registry:3 or Holdfast (config.yml)
  --addr HOST:PORT    where to listen (default 127.0.0.1:5000; with a file :5000)
  --data DIR          where images are kept (default ./data; with a file /var/lib/registry)

A flag comes before a REGISTRY_* variable, that before the file. "holdfast config" checks and explains files.
`

/** What serves, and how it ends. */
interface Stoppable {
  close(): Promise<void>
  /** At once. */
  kill(): void
}

/** `holdfast serve`: runs the registry until it is told to stop. */
export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { addr: { type: 'string' }, data: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  const [file, ...rest] = positionals
  if (values.help) return void process.stdout.write(usage)
  if (rest.length > 0) throw failure('usage', `too many arguments: "${rest.join(' ')}"\n\n${usage}`)
  await serve(await loadConfiguration({ file, flags: { addr: values.addr, data: values.data }, env: process.env }))
}

async function serve({ configuration, warnings }: Loaded): Promise<void> {
  const clock = { now: () => new Date() }
  const { root: data, inMemory, objects } = configuration.storage
  const log = createLog(configuration.log.level, (line) => process.stderr.write(line), clock, configuration.log)
  for (const warning of warnings) log.warn('config', { warning })
  if (configuration.runAsOwner) runAsOwner(data, filesOf(configuration), log)
  const count = processCount(configuration.processes)
  const listening = (address: Address) =>
    log.info('registry.listening', { address: nameOf(address), data, ...(objects && { blobs: objects.kind }) })
  stopOnSignals(await (count === 1 ? serveAlone() : serveTogether()))

  async function serveAlone(): Promise<Stoppable> {
    const { createApp } = await import('../app.ts')
    const app = await createApp({ configuration, log, clock, writeAccess: (lines) => process.stdout.write(lines) })
    const bound = await app.listen()
    listening(bound.address)
    if (bound.debug) log.info('registry.debug-listening', { address: nameOf(bound.debug) })
    void app.runJobs()
    // Now, not at the end: a process that is killed leaves the next start as quick as one that stops. And at once: what the
    // first requests compile would be kept in memory by every later process, used or not.
    flushCompileCache()
    return { close: () => app.close(), kill: () => {} }
  }

  async function serveTogether(): Promise<Stoppable> {
    const { createSupervisor } = await import('../processes/supervisor.ts')
    const supervisor = createSupervisor({ configuration, count, program: [process.argv[1]!, 'process'], log })
    const address = await supervisor.listen().catch((error: unknown) => {
      supervisor.kill()
      throw error
    })
    if (!address) process.exit(1) // the process that could not start has said why
    listening(address)
    flushCompileCache()
    return supervisor
  }

  function stopOnSignals({ close, kill }: Stoppable): void {
    let stoppingSince: number | undefined
    const stop = (signal: string) => {
      if (stoppingSince !== undefined) {
        // Asked twice: do not wait for anyone. At once it is the same request, from the terminal and from the process above.
        if (clock.now().getTime() - stoppingSince <= 1000) return
        kill()
        process.exit(1)
      }
      stoppingSince = clock.now().getTime()
      log.info('registry.stopping', { signal })
      close()
        .then(() => (inMemory ? rm(data, { recursive: true, force: true }) : undefined))
        .then(
          () => process.exit(0),
          (error: unknown) => {
            log.error('registry.stop-failed', { error: String(error) })
            process.exit(1)
          },
        )
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  }
}
