import { isIP } from 'node:net'
import { compilePatterns } from '../rules/patterns.ts'
import { parseSpan } from '../rules/span.ts'

/** A kind of value: how its text is read, and what to say when it cannot be. */
export interface Kind<T> {
  /** "expected …" in an error, and the column "form" of the documentation. */
  form: string
  /** The value; undefined when the text is not of this kind. The text is never empty. */
  parse(text: string): T | undefined
  /** What is odd about a text that can be read nevertheless. */
  doubt?(text: string): string | undefined
  /** For editors: JSON Schema of the value in the file. */
  schema: Record<string, unknown>
}

export const textKind: Kind<string> = { form: 'a text', parse: (text) => text, schema: { type: 'string' } }

/** YAML 1.1's booleans; quoted ones count as well, where registry:2 takes them for "off". */
export const booleanKind: Kind<boolean> = {
  form: 'true or false',
  parse(text) {
    if (/^(true|yes|on|y)$/i.test(text)) return true
    return /^(false|no|off|n)$/i.test(text) ? false : undefined
  },
  schema: { type: 'boolean' },
}

/** A whole number in YAML 1.1's spellings, among them 0x1f and the octal 0777. */
export function integerKind(min: number): Kind<number> {
  return {
    form: min === 0 || min === 1 ? `a number from ${min}` : 'a number',
    parse(text) {
      const digits = text.replaceAll('_', '').replace(/^\+/, '')
      const octal = /^0o?([0-7]+)$/.exec(digits)?.[1]
      const value = octal
        ? Number.parseInt(octal, 8)
        : /^(-?\d+|0x[\da-f]+|0b[01]+)$/i.test(digits)
          ? Number(digits)
          : NaN
      return Number.isSafeInteger(value) && value >= min ? value : undefined
    },
    schema: { type: 'integer', ...((min === 0 || min === 1) && { minimum: min }) },
  }
}

const maxProcesses = 64

/** How many processes. */
export const processesKind: Kind<number | 'auto'> = {
  form: `auto or a number from 1 to ${maxProcesses}`,
  parse(text) {
    if (text === 'auto') return text
    const count = integerKind(0).parse(text)
    return count !== undefined && count >= 1 && count <= maxProcesses ? count : undefined
  },
  schema: { anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 1, maximum: maxProcesses }] },
}

const units: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}
const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/** A duration as Go writes it, in milliseconds; a number without a unit counts nanoseconds, as it does there. */
export const durationKind: Kind<number> = {
  form: 'a duration such as 30s, 1h30m or 168h',
  parse(text) {
    const ms = goDuration(text)
    return ms === undefined || ms === 0 ? ms : Math.max(1, ms) // what waits in a loop must wait
  },
  doubt(text) {
    const ms = goDuration(text)
    if (ms === undefined || ms === 0 || ms >= 1) return undefined
    return `less than a millisecond, for a number without a unit counts nanoseconds; write ${Number.parseInt(text, 10)}s for seconds, ${Number.parseInt(text, 10)}ms for milliseconds`
  },
  schema: { type: ['string', 'integer'] },
}

function goDuration(text: string): number | undefined {
  const unsigned = text.replace(/^\+/, '')
  if (/^\d+$/.test(unsigned)) return Number(unsigned) * units.ns!
  if (unsigned.replace(part, '') !== '') return undefined
  return [...unsigned.matchAll(part)].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!]!, 0)
}

/** One of these words, in any case. */
export function wordKind<const W extends string>(words: readonly W[]): Kind<W> {
  return {
    form: words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${words.at(-1)}` : words.join(),
    parse: (text) => words.find((word) => word.toLowerCase() === text.toLowerCase()),
    schema: { enum: words },
  }
}

/** A TCP address; without a host it stands for all interfaces. */
export const addressKind: Kind<{ host: string; port: number }> = {
  form: 'HOST:PORT such as 127.0.0.1:5000 or :5000',
  parse(text) {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]*)):(\d{1,5})$/.exec(text)
    const port = Number(match?.[3])
    return match && port <= 65_535 ? { host: match[1] ?? (match[2] || '::'), port } : undefined
  },
  schema: { type: 'string' },
}

export const urlKind: Kind<string> = {
  form: 'a URL such as https://example.com/path',
  parse: (text) => (/^https?:\/\//i.test(text) && URL.canParse(text) ? text : undefined),
  schema: { type: 'string' },
}

export const ldapKind: Kind<string> = {
  form: 'a URL such as ldaps://ldap.example.com or ldap://127.0.0.1:389',
  parse: (text) => (/^ldaps?:\/\/[^/?#@]+\/?$/i.test(text) && URL.canParse(text) ? text : undefined),
  schema: { type: 'string' },
}

/** 256 bits; what they are is said nowhere. */
export const secretKeyKind: Kind<string> = {
  form: '32 bytes as 64 hexadecimal digits or in base64 (openssl rand -hex 32)',
  parse: (text) => (/^([\da-f]{64}|[\w+/-]{43}=?)$/i.test(text) ? text : undefined),
  schema: { type: 'string' },
}

const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']

export const databaseKind: Kind<string> = {
  form: `a URL such as postgres://user:password@host:5432/database, with sslmode=${sslModes.join(', ')} or none`,
  parse(text) {
    if (!/^postgres(ql)?:\/\//i.test(text) || !URL.canParse(text)) return undefined
    const mode = new URL(text).searchParams.get('sslmode')
    return mode === null || sslModes.includes(mode) ? text : undefined
  },
  schema: { type: 'string' },
}

/** A pattern of Go's; the few spellings that JavaScript has otherwise are translated. */
export const patternKind: Kind<RegExp> = {
  form: 'a regular expression',
  parse(text) {
    const [, flags = '', body = ''] = /^(?:\(\?([ims]+)\))?([^]*)$/.exec(text) ?? []
    try {
      return new RegExp(body.replaceAll('(?P<', '(?<').replaceAll('\\A', '^').replaceAll('\\z', '$'), flags)
    } catch {
      return undefined
    }
  },
  schema: { type: 'string', format: 'regex' },
}

/** A span of days and the like, in milliseconds. */
export const spanKind: Kind<number> = {
  form: 'a span such as 36h, 14d or 3w',
  parse: parseSpan,
  schema: { type: 'string' },
}

/** A pattern of tags. */
export const tagPatternKind: Kind<string> = {
  form: 'a pattern of tags such as v* or /^v\\d+$/',
  parse(text) {
    try {
      compilePatterns([text])
      return text
    } catch {
      return undefined
    }
  },
  schema: { type: 'string' },
}

/** Which repositories. */
export const repositoriesKind: Kind<string> = {
  form: 'a pattern of repositories such as acme/* or prod/**',
  parse: (text) => (/^[a-z0-9._*?/-]{1,255}$/.test(text) ? text : undefined),
  schema: { type: 'string' },
}

/** An address or a network: 10.0.0.1, 10.0.0.0/8, fd00::/8. */
export const networkKind: Kind<string> = {
  form: 'an address or network such as 10.0.0.1 or 10.0.0.0/8',
  parse(text) {
    const [address = '', bits, ...rest] = text.split('/')
    const family = isIP(address)
    const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
    return family !== 0 && fits && rest.length === 0 ? text : undefined
  },
  schema: { type: 'string' },
}

const sizes = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 }

/** An amount of bytes. */
export const sizeKind: Kind<number> = {
  form: 'a size such as 500MB or 10GiB, or a number of bytes',
  parse(text) {
    const [, count, unit = ''] = /^(\d+(?:\.\d+)?) ?(?:([kmgt]i?)?b?)?$/i.exec(text) ?? []
    const bytes = count === undefined ? NaN : Math.floor(Number(count) * sizes[unit.toLowerCase() as ''])
    return Number.isSafeInteger(bytes) ? bytes : undefined
  },
  schema: { type: ['string', 'integer'] },
}

/** What shall stay free of a disk. */
export const reserveKind: Kind<{ bytes: number; percent: number }> = {
  form: 'auto (1GiB or 2%, whichever is less), a size such as 5GiB, or a share such as 3%',
  parse(text) {
    if (text === 'auto') return { bytes: 2 ** 30, percent: 2 }
    const percent = Number(/^(\d+(?:\.\d+)?)%$/.exec(text)?.[1] ?? NaN)
    if (percent <= 90) return { bytes: percent === 0 ? 0 : Number.MAX_SAFE_INTEGER, percent }
    const bytes = sizeKind.parse(text)
    return bytes === undefined ? undefined : { bytes, percent: 90 }
  },
  schema: { type: ['string', 'integer'] },
}

const suites: Record<string, string> = {
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
}

/** A cipher suite by Go's name, given by OpenSSL's. RC4 and 3DES are not to be had in either's present version. */
export const cipherKind: Kind<string> = {
  form: 'the name of a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  parse: (text) => (Object.hasOwn(suites, text) ? suites[text] : undefined),
  schema: { enum: Object.keys(suites) },
}
