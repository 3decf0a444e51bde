import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const bytes = 1 << 20

/**
 * Opens something that needs a little room on the disk, with room kept for just that: a file that gives way while `open` runs.
 * Without it a registry on a full disk could not start again to serve what it has, because SQLite needs an index of its log.
 */
export function openWithReserve<T>(folder: string, open: () => T): T {
  const reserve = join(folder, 'reserve')
  rmSync(reserve, { force: true })
  const opened = open()
  try {
    writeFileSync(reserve, Buffer.alloc(bytes))
  } catch {
    rmSync(reserve, { force: true }) // the disk is full: the room stays free for whoever needs it
  }
  return opened
}
