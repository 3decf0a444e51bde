export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured log lines: an event name and its fields. */
export type Log = Record<LogLevel, (event: string, fields?: Record<string, unknown>) => void>

const levels: LogLevel[] = ['debug', 'info', 'warn', 'error']

/** Writes `time level event key=value …` lines; strings with spaces, quotes or control characters are quoted as JSON. */
export function createLog(level: LogLevel, write: (line: string) => void, clock: { now(): Date }): Log {
  const logAt =
    (own: LogLevel) =>
    (event: string, fields: Record<string, unknown> = {}) => {
      if (levels.indexOf(own) < levels.indexOf(level)) return
      const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${format(value)}`)
      write(`${clock.now().toISOString()} ${own.padEnd(5)} ${event}${pairs.join('')}\n`)
    }
  return { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') }
}

function format(value: unknown): string {
  const text = typeof value === 'string' ? value.slice(0, 2000) : JSON.stringify(value)
  return typeof value === 'string' && !/^[\x21\x23-\x7e]+$/.test(text) ? JSON.stringify(text) : (text ?? 'undefined')
}
