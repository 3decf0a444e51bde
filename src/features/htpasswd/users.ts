import { randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../../platform/log.ts'
import { type HtpasswdFile, parseHtpasswd } from './file.ts'

/** How long a change of the file may stay unseen. */
const lookEveryMs = 1000

interface UsersOptions {
  path: string
  log: Log
  clock: { now(): Date }
  hash(password: string): Promise<string>
}

/** The users of an htpasswd file, read again when it changes; a change that cannot be read leaves the users as they are. */
export function createUsers({ path, log, clock, hash }: UsersOptions) {
  let file: HtpasswdFile = { users: new Map(), warnings: [] }
  let stamp = ''
  let lookedAt = 0
  let looking: Promise<void> | undefined

  /** Reads the file; makes it first when it is missing. @throws Error when it cannot be read */
  async function load(): Promise<void> {
    try {
      await read()
    } catch (cause) {
      const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
      if (!missing) throw failed(cause)
      await create().catch((error: unknown) => {
        throw failed(error)
      })
      await read()
    }
  }

  function failed(cause: unknown): Error {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new Error(`Cannot use auth.htpasswd.path ${path}: ${reason}`, { cause })
  }

  async function read(): Promise<void> {
    lookedAt = clock.now().getTime()
    const { mtimeMs, ctimeMs, ino, size } = await stat(path)
    const found = `${mtimeMs} ${ctimeMs} ${ino} ${size}`
    if (found === stamp) return
    const parsed = parseHtpasswd(await readFile(path, 'utf8'))
    for (const warning of parsed.warnings) log.warn('htpasswd.line-ignored', { path, warning })
    file = parsed
    stamp = found
  }

  /** As registry:2: the user `docker` with a random password, which only the log tells. */
  async function create(): Promise<void> {
    const password = randomBytes(24).toString('base64url')
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, `docker:${await hash(password)}\n`, { mode: 0o600, flag: 'wx' })
    log.warn('htpasswd.created', { path, user: 'docker', password, hint: 'write users of your own with htpasswd -B' })
  }

  return {
    load,
    /** The users as they are now, at most a second late; another object each time the file changed. */
    current(): ReadonlyMap<string, string> | Promise<ReadonlyMap<string, string>> {
      if (clock.now().getTime() - lookedAt >= lookEveryMs) {
        looking ??= read()
          .catch((error: unknown) => log.error('htpasswd.unreadable', { path, error: String(error) }))
          .finally(() => (looking = undefined))
      }
      return looking ? looking.then(() => file.users) : file.users
    },
  }
}
