/**
 * Decides call by call whether reading or writing a file may be done in the event loop: that is the cheapest way while the page
 * cache answers, and after a call that waited for the disk the next ones go elsewhere for a while.
 */
export class PageCache {
  /** Milliseconds; a call that takes longer waited for the disk. */
  readonly #slowMs: number
  readonly #most: number
  #away = 0
  #next: number

  /** After a slow call `least` calls go elsewhere, twice as many each time it is slow again, up to `most`. */
  constructor({ slowMs, least, most }: { slowMs: number; least: number; most: number }) {
    this.#slowMs = slowMs
    this.#most = most
    this.#next = least
  }

  /** Whether the next call may be synchronous; asked once for each call. */
  mayAnswer(): boolean {
    if (this.#away === 0) return true
    this.#away--
    return false
  }

  /** Makes a synchronous call and learns from how long it took. */
  call<T>(work: () => T): T {
    const begun = performance.now()
    const result = work()
    if (performance.now() - begun > this.#slowMs) {
      this.#away = this.#next
      this.#next = Math.min(this.#most, this.#next * 2)
    }
    return result
  }
}
