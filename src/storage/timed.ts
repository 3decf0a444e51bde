import type { StorageDriver } from '../registry/ports/storage.ts'

/** registry:2's names of what is done to a storage, and our calls. */
const actions = {
  Stat: 'stat',
  Reader: 'open',
  Writer: 'append',
  Move: 'publish',
  Delete: 'delete',
  List: 'list',
} as const

/** The same driver, which tells how long each call took. */
export function timed(driver: StorageDriver, tell: (action: string, seconds: number) => void): StorageDriver {
  const all = { ...driver }
  for (const [action, name] of Object.entries(actions)) {
    const call = driver[name] as (...args: unknown[]) => Promise<unknown>
    const measured = async (...args: unknown[]) => {
      const begun = performance.now()
      try {
        return await call(...args)
      } finally {
        tell(action, (performance.now() - begun) / 1000)
      }
    }
    Object.assign(all, { [name]: measured })
  }
  return all
}
