/** The other processes that serve the same registry on this machine; a process alone has nobody to tell. */
export interface Siblings {
  /** Whether this one does what is done once: jobs, checks of health, the debug listener. With SQLite it also writes. */
  isFirst: boolean
  /** Whether the process is there that this one needs for writing. */
  isWhole(): boolean
  /** Tells the others; who starts later hears the last of each topic. */
  tell(topic: string, value: unknown): void
  hear(topic: string, listener: (value: unknown) => void): void
  /** What each of the others has to say. */
  ask(topic: string): Promise<unknown[]>
  answer(topic: string, answer: () => Promise<unknown>): void
}

export const alone: Siblings = {
  isFirst: true,
  isWhole: () => true,
  tell: () => {},
  hear: () => {},
  ask: async () => [],
  answer: () => {},
}
