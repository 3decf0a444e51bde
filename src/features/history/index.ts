import type { Feature, Platform } from '../feature.ts'

/** The past of tags and images, and the way back to it. */
export function history(platform: Platform): Feature {
  return {
    name: 'history',
    async api() {
      const { historyOperations } = await import('./operations.ts')
      return historyOperations(platform)
    },
  }
}
