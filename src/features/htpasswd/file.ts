const bcrypt = /^\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

export interface HtpasswdFile {
  /** bcrypt hashes by user. */
  users: Map<string, string>
  /** Lines that can never match, and why. */
  warnings: string[]
}

/**
 * Reads what `htpasswd -B` writes: `user:hash` lines; of two for one user the last counts. As in registry:2 only bcrypt counts.
 * @throws Error naming the line that holds no user
 */
export function parseHtpasswd(text: string): HtpasswdFile {
  const users = new Map<string, string>()
  const warnings: string[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    if (colon < 1) throw new Error(`line ${index + 1}: expected USER:HASH as "htpasswd -B" writes it`)
    const [user = '', hash = ''] = line.split(':') // what may follow, such as a name, nobody reads
    if (bcrypt.test(hash)) users.set(user, hash)
    else {
      users.delete(user)
      warnings.push(
        `line ${index + 1}: ${JSON.stringify(user)} can never sign in: only bcrypt counts; use "htpasswd -B"`,
      )
    }
  }
  return { users, warnings }
}
