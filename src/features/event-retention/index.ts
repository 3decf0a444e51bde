import type { Feature, Platform } from '../feature.ts'

const keepDays = 30

/** Keeps the event log from growing for ever. */
export function eventRetention({ metadata, clock }: Platform): Feature {
  const run = () => metadata.events.deleteBefore(new Date(clock.now().getTime() - keepDays * 86_400_000))
  return { name: 'event-retention', jobs: [{ name: 'event-retention', everySeconds: 86_400, run }] }
}
