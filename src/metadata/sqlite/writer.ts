import { Worker } from 'node:worker_threads'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { Run } from '../sql/commands.ts'

export type Batch = [name: string, args: unknown[]][]
export type CommandResult = { value: unknown } | { error: { message: string; code?: string } }
export interface BatchResult {
  results: CommandResult[]
  events: RegistryEvent[]
}

interface Waiting {
  name: string
  args: unknown[]
  resolve(value: unknown): void
  reject(error: Error): void
}

/**
 * The way to the thread that writes. Commands that come while a batch is being committed go together in the next one, so the
 * more requests wait the more of them share an fsync, and the event loop never waits for the disk.
 */
export function createWriter(
  path: string,
  onEvents: (events: RegistryEvent[]) => void,
  onCommit?: (seconds: number) => void,
): { run: Run; close(): Promise<void> } {
  const worker = new Worker(new URL(import.meta.resolve('./writer-thread.ts')), { workerData: path })
  let waiting: Waiting[] = []
  let committing: Waiting[] = []
  let begun = 0
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))

  function flush(): void {
    if (committing.length > 0 || waiting.length === 0) return
    committing = waiting
    waiting = []
    if (onCommit) begun = performance.now()
    worker.postMessage(committing.map(({ name, args }) => [name, args]))
  }

  worker.on('message', ({ results, events }: BatchResult) => {
    const done = committing
    committing = []
    onCommit?.((performance.now() - begun) / 1000)
    if (events.length > 0) onEvents(events)
    for (const [index, command] of done.entries()) {
      const result = results[index]!
      if ('value' in result) command.resolve(result.value)
      else
        command.reject(
          Object.assign(new Error(`Cannot write to the database: ${result.error.message}`), {
            code: result.error.code,
          }),
        )
    }
    flush()
  })
  worker.on('error', (error) => {
    throw error // without its writer a registry is better restarted than half alive
  })

  return {
    run(name, ...args) {
      return new Promise((resolve, reject) => {
        waiting.push({ name, args, resolve: resolve as (value: unknown) => void, reject })
        if (waiting.length === 1) setImmediate(flush) // what this turn of the loop brings goes together
      })
    },
    async close() {
      while (waiting.length + committing.length > 0) await new Promise((resolve) => setTimeout(resolve, 5))
      worker.postMessage('close')
      await exited
    },
  }
}
