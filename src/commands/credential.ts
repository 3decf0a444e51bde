import { forgetOwn, listOwn, loadOwn, storeOwn } from './client/credentials.ts'
import { readInput } from './client/password.ts'

/** In these words docker knows that there is nothing, from an error. */
const notFound = 'credentials not found in native keychain'

/** What docker asks of a credential helper: input and output are of its protocol. */
const actions: Record<string, (input: string) => object | undefined> = {
  get(host) {
    const kept = loadOwn(host)
    if (!kept) throw new Error(notFound)
    return { ServerURL: host, Username: kept.name, Secret: kept.secret }
  },
  store(input) {
    const { ServerURL: host, Username: name, Secret: secret } = parse(input)
    if (!host) throw new Error('no credentials server URL')
    if (!name) throw new Error('no credentials username')
    storeOwn(host, { name, secret: secret ?? '' })
    return undefined
  },
  erase(host) {
    forgetOwn(host)
    return undefined
  },
  list: listOwn,
}

/** `docker-credential-holdfast`: the logins that these commands keep, for docker, podman and the others. */
export async function run([name = '']: string[]): Promise<void> {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  try {
    if (!action) throw new Error('expected get, store, erase or list, as docker calls it')
    const answer = action(name === 'list' ? '' : (await readInput()).trim())
    if (answer) process.stdout.write(`${JSON.stringify(answer)}\n`)
  } catch (error) {
    process.stdout.write(`${(error as Error).message}\n`) // docker looks there
    process.exitCode = 1
  }
}

function parse(input: string): Record<string, string | undefined> {
  try {
    const value: unknown = JSON.parse(input)
    if (typeof value === 'object' && value !== null) return value as Record<string, string>
  } catch {} // the same as anything else that is none
  throw new Error('expected JSON with ServerURL, Username and Secret')
}
