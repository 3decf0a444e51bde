import type { Exchange } from '../../http/types.ts'
import type { Feature, Platform, Serving } from '../feature.ts'

const flushMs = 100
const flushLength = 64 << 10
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Each request as a line of the Combined Log Format, gathered so that many lines are one write. */
export function accessLog({ configuration, clock }: Platform, { writeAccess }: Serving): Feature {
  let lines = ''
  let timer: NodeJS.Timeout | undefined
  let second = 0
  let stamp = ''

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (lines !== '') writeAccess(lines)
    lines = ''
  }
  /** Made once a second. */
  function now(): string {
    const moment = clock.now()
    if (Math.floor(moment.getTime() / 1000) === second) return stamp
    second = Math.floor(moment.getTime() / 1000)
    return (stamp = format(moment))
  }
  function answered(exchange: Exchange): void {
    lines += lineOf(exchange, now())
    if (lines.length >= flushLength) flush()
    else timer ??= setTimeout(flush, flushMs)
  }

  return { name: 'access-log', observers: configuration.log.access ? [{ answered }] : [], stop: flush }
}

function lineOf({ request, message, status, bytes }: Exchange, stamp: string): string {
  const { principal } = request
  const name = principal.kind === 'anonymous' ? '-' : word(principal.name)
  const { referer, 'user-agent': agent } = message.headers
  const line = `${message.method} ${message.url} HTTP/${message.httpVersion}`
  const sent = message.method === 'HEAD' ? 0 : bytes
  return `${word(principal.address)} - ${name} [${stamp}] "${quotable(line)}" ${status} ${sent} "${quotable(referer)}" "${quotable(agent)}"\n`
}

/** `21/Nov/2026:16:11:10 +0000` */
function format(moment: Date): string {
  const [date, time] = [moment.toISOString().slice(0, 10), moment.toISOString().slice(11, 19)]
  return `${date.slice(8)}/${months[moment.getUTCMonth()]}/${date.slice(0, 4)}:${time} +0000`
}

/** What stands between spaces. */
function word(text: string): string {
  return text === '' ? '-' : escape(text, /[^\x21-\x7e]|["\\[\]]/g)
}

function quotable(text = ''): string {
  return escape(text, /[^\x20-\x7e]|["\\]/g)
}

/** Byte by byte, so that no text can end its field or its line. */
function escape(text: string, special: RegExp): string {
  return text.replace(special, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : Array.from(Buffer.from(character), (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}
