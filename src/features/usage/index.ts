import type { Feature, Platform } from '../feature.ts'

/** How much is stored of what. */
export function usage(platform: Platform): Feature {
  return {
    name: 'usage',
    async api() {
      const { usageOperations } = await import('./operations.ts')
      return usageOperations(platform)
    },
  }
}
