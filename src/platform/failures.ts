import type { Log } from './log.ts'

/** What is away is told so often. */
const quietMs = 1000

/**
 * Logs why requests failed. An error of ours comes with its stack, each time; that the database or a store is away is one fact
 * however many requests meet it: a line a second, without the stack, that says how many they were.
 */
export function createFailures(log: Log, now: () => number = () => performance.now()) {
  const told = new Map<string, { at: number; more: number }>()

  return (error: unknown, request: Record<string, unknown>): void => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN'))
      return log.error('request.failed', { ...request, error: error instanceof Error ? error.stack : String(error) })
    const last = told.get(error.message)
    if (last && now() - last.at < quietMs) return void last.more++
    if (told.size > 100) told.clear()
    told.set(error.message, { at: now(), more: 0 })
    log.error('request.failed', { ...request, error: error.message, ...(last?.more && { more: last.more }) })
  }
}
