import { type FSWatcher, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Files of one change come one after the other. */
const settleMs = 200
/** Not every file system tells of changes. */
const pollMs = 60_000

/** Calls `changed` after any of these files became another one, also through a link on the way to it. */
export function watchFiles(files: string[], changed: () => void): { start(): void; stop(): void } {
  const watchers: FSWatcher[] = []
  let known = files.map(identityOf).join()
  let poll: NodeJS.Timeout | undefined
  let settling: NodeJS.Timeout | undefined

  function look(): void {
    const now = files.map(identityOf).join()
    if (now === known) return
    known = now
    changed()
  }
  function lookSoon(): void {
    clearTimeout(settling)
    settling = setTimeout(look, settleMs).unref()
  }

  return {
    start() {
      poll = setInterval(look, pollMs).unref()
      for (const folder of new Set(files.map((file) => dirname(file)))) {
        try {
          watchers.push(watch(folder, { persistent: false }, lookSoon).on('error', () => undefined))
        } catch {
          // no more watches to be had: the poll remains
        }
      }
    },
    stop() {
      clearInterval(poll)
      clearTimeout(settling)
      for (const watcher of watchers) watcher.close()
    },
  }
}

function identityOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false, bigint: true })
  return found ? `${found.ino}:${found.mtimeNs}:${found.size}` : ''
}
