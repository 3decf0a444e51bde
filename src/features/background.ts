import type { Feature } from './feature.ts'

/** A duty that goes on beside requests until another node has it or the registry stops; `failed` is told what ended it before. */
export function inBackground(
  work: (signal: AbortSignal) => Promise<void>,
  failed: (error: unknown) => void,
): NonNullable<Feature['duty']> {
  let stopping = new AbortController()
  let working: Promise<void> = Promise.resolve()
  return {
    async begin() {
      stopping = new AbortController()
      const { signal } = stopping
      working = work(signal).catch((error: unknown) => {
        if (!signal.aborted) failed(error)
      })
    },
    async end() {
      stopping.abort()
      await working
    },
  }
}

/** What it resolves to, or false as soon as nobody waits for it any more. */
export function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | false> {
  const aborted = new Promise<false>((resolve) => {
    if (signal.aborted) resolve(false)
    signal.addEventListener('abort', () => resolve(false), { once: true })
  })
  return Promise.race([promise, aborted])
}
