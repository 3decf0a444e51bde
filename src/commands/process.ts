import { flushCompileCache } from 'node:module'
import { createApp } from '../app.ts'
import { nameOf } from '../listen/bind.ts'
import { createLog } from '../platform/log.ts'
import { joinSupervisor } from '../processes/member.ts'
import { writeLines } from '../processes/lines.ts'

/** One of several processes of `serve`, which starts it and says what to do. */
export async function run(): Promise<void> {
  if (!process.send) throw new Error('this is started by "holdfast serve" alone')
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => {}) // who started us hears them too, and says when to stop
  const clock = { now: () => new Date() }

  joinSupervisor(async ({ configuration }, member) => {
    try {
      const log = createLog(configuration.log.level, (line) => process.stderr.write(line), clock, configuration.log)
      const writeAccess = writeLines((lines) => process.stdout.write(lines))
      const app = await createApp({ configuration, log, clock, writeAccess, member })
      const debug = await app.attend()
      if (debug) log.info('registry.debug-listening', { address: nameOf(debug) })
      void app.runJobs()
      flushCompileCache() // as `serve` does
      const stop = () =>
        app.close().then(
          () => process.exit(0),
          (error: unknown) => {
            log.error('registry.stop-failed', { error: String(error) })
            process.exit(1)
          },
        )
      return { take: app.take, stop }
    } catch (error) {
      process.stderr.write(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`)
      process.exit(1)
    }
  })
}
