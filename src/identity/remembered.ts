import { hash, randomBytes } from 'node:crypto'

/** How long credentials that were right are not looked at again, and those that were wrong. */
const [rightMs, wrongMs] = [5 * 60_000, 60_000]
const maxRemembered = 10_000

interface Verdict<Result> {
  result: Result | undefined
  /** What the verdict went by: with another one it counts no more. */
  stamp: unknown
  until: number
}

/**
 * Remembers for some minutes whose credentials were right, and which were wrong: as a hash with a key of this process, so that
 * its memory holds no more passwords than the last one. The same ones at the same time are looked at once.
 */
export function createRemembered<Result>(clock: { now(): Date }) {
  const key = randomBytes(32).toString('base64')
  const verdicts = new Map<string, Verdict<Result>>()
  const asking = new Map<string, Promise<Result | undefined>>()
  let last = { credentials: '', mac: '' }

  // Not an Hmac object, which costs more than all the rest of a request; nobody sees the result, so nothing can be appended.
  function macOf(credentials: string): string {
    if (last.credentials !== credentials) last = { credentials, mac: hash('sha256', key + credentials, 'base64') }
    return last.mac
  }

  function remember(mac: string, result: Result | undefined, stamp: unknown): void {
    if (verdicts.size >= maxRemembered) verdicts.delete(verdicts.keys().next().value!)
    const until = clock.now().getTime() + (result === undefined ? wrongMs : rightMs)
    verdicts.set(mac, { result, stamp, until })
  }

  return {
    /** What `verify` says of the credentials, or said: undefined where they are wrong. What it throws is not remembered. */
    async ask(
      credentials: string,
      stamp: unknown,
      verify: () => Promise<Result | undefined>,
    ): Promise<Result | undefined> {
      const mac = macOf(credentials)
      const known = verdicts.get(mac)
      if (known && known.stamp === stamp && known.until > clock.now().getTime()) return known.result
      const begun = asking.get(mac)
      if (begun) return begun
      const work = verify()
        .then((result) => {
          remember(mac, result, stamp)
          return result
        })
        .finally(() => asking.delete(mac))
      asking.set(mac, work)
      return work
    },
  }
}
