export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured log lines: an event name and its fields. */
export type Log = Record<LogLevel, (event: string, fields?: Record<string, unknown>) => void>

/** How lines look, and what stands in each of them. */
export interface LogStyle {
  formatter: 'text' | 'json' | 'logstash'
  fields: Record<string, string>
}

type Format = (line: { time: string; level: LogLevel; event: string; fields: Record<string, unknown> }) => string

const levels: LogLevel[] = ['debug', 'info', 'warn', 'error']
const maxText = 2000

/**
 * Writes a line for each event at this level or above: as `time level event key=value …`, or as JSON with the keys that logrus
 * uses (`json`) or that logstash expects, which log collectors of registry:2 know.
 */
export function createLog(
  level: LogLevel,
  write: (line: string) => void,
  clock: { now(): Date },
  { formatter, fields: always }: LogStyle = { formatter: 'text', fields: {} },
): Log {
  const format = formats[formatter]
  const logAt =
    (own: LogLevel) =>
    (event: string, fields: Record<string, unknown> = {}) => {
      if (levels.indexOf(own) < levels.indexOf(level)) return
      write(`${format({ time: clock.now().toISOString(), level: own, event, fields: { ...fields, ...always } })}\n`)
    }
  return { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') }
}

const formats: Record<LogStyle['formatter'], Format> = {
  /** Strings with spaces, quotes or control characters are quoted as JSON. */
  text({ time, level, event, fields }) {
    const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(value)}`)
    return `${time} ${level.padEnd(5)} ${event}${pairs.join('')}`
  },
  json: ({ time, level, event, fields }) =>
    JSON.stringify({ ...bounded(fields), level: nameOf(level), msg: event, time }),
  logstash: ({ time, level, event, fields }) =>
    JSON.stringify({ ...bounded(fields), '@timestamp': time, '@version': '1', level: nameOf(level), message: event }),
}

/** logrus writes this one out. */
function nameOf(level: LogLevel): string {
  return level === 'warn' ? 'warning' : level
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? value.slice(0, maxText) : JSON.stringify(value)
  return typeof value === 'string' && !/^[\x21\x23-\x7e]+$/.test(text) ? JSON.stringify(text) : (text ?? 'undefined')
}

function bounded(fields: Record<string, unknown>): Record<string, unknown> {
  const cut = (value: unknown) => (typeof value === 'string' ? value.slice(0, maxText) : value)
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, cut(value)]))
}
