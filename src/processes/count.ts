import { availableParallelism, totalmem } from 'node:os'

const most = 4
const smallBytes = 2 * 2 ** 30

/** How many processes serve: as configured, or one a processor up to four, and one where memory is small. */
export function processCount(configured: number | 'auto'): number {
  if (configured !== 'auto') return configured
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)
  return memory < smallBytes ? 1 : Math.min(most, availableParallelism())
}
