import { argon2, type Argon2Parameters, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { OciError } from '../oci/errors.ts'

const derive = promisify(argon2)

/** OWASP's for argon2id: 19 MiB, two passes. */
const present = { memory: 19_456, passes: 2, parallelism: 1 }
const [saltLength, tagLength] = [16, 32]
/** How many are computed at once, and how many may wait for that. */
const [maxRunning, maxWaiting] = [2, 100]
const [minLength, maxLength] = [8, 256]
const form = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([\w+/-]+)\$([\w+/-]+)$/

/** What is wrong with a new password; undefined: nothing. */
export function objectionToPassword(password: string, name: string): string | undefined {
  if (password.length < minLength) return `must have at least ${minLength} characters`
  if (password.length > maxLength) return `must have at most ${maxLength} characters`
  if (password.toLowerCase().includes(name) && password.length < name.length + 4) return 'must not be the name'
  return new Set(password).size < 4 ? 'must not repeat a few characters' : undefined
}

/**
 * Hashes of passwords by argon2id, computed in the thread pool and few at once. A hash says by which parameters it was made, so
 * older ones stay good.
 */
export function createPasswords() {
  let running = 0
  const waiting: (() => void)[] = []
  let nobodys: Promise<string> | undefined

  async function compute(parameters: Argon2Parameters): Promise<Buffer> {
    if (running >= maxRunning) {
      if (waiting.length >= maxWaiting)
        throw new OciError('TOOMANYREQUESTS', {
          message: 'too many sign-ins at once: try again in a moment',
          headers: { 'Retry-After': '2' },
        })
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await derive('argon2id', parameters)
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }

  async function hash(password: string): Promise<string> {
    const nonce = randomBytes(saltLength)
    const tag = await compute({ ...present, message: normalized(password), nonce, tagLength })
    const { memory, passes, parallelism } = present
    return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${plain(nonce)}$${plain(tag)}`
  }

  return {
    /** @throws OciError TOOMANYREQUESTS */
    hash,

    /** Whether the password fits; without a hash the work is the same and it never does. @throws OciError TOOMANYREQUESTS */
    async fits(password: string, hashed: string | undefined): Promise<boolean> {
      const compared = hashed ?? (await (nobodys ??= hash(randomBytes(9).toString('base64'))))
      const [, memory, passes, parallelism, nonce = '', tag = ''] = form.exec(compared) ?? []
      const expected = Buffer.from(tag, 'base64')
      if (expected.length < 4) return false // no hash of ours
      const parameters = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) }
      const found = await compute({
        ...parameters,
        message: normalized(password.slice(0, maxLength + 1)),
        nonce: Buffer.from(nonce, 'base64'),
        tagLength: expected.length,
      })
      return timingSafeEqual(found, expected) && hashed !== undefined
    },
  }
}

/** The same letters however a keyboard composes them. */
const normalized = (password: string) => password.normalize('NFC')

const plain = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
