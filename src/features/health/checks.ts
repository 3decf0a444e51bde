export interface Check {
  name: string
  intervalMs: number
  /** So many failures one after the other make it unhealthy. */
  threshold: number
  /** Throws what is wrong. */
  run(): Promise<void>
}

const leastIntervalMs = 100

/** Runs checks again and again, and knows which of them fail. `changed` is told when one begins or ends to fail. */
export function createChecks(checks: Check[], { changed }: { changed(name: string, error: string | undefined): void }) {
  const failing = new Map<string, string>()

  function set(name: string, error: string | undefined): void {
    const before = failing.get(name)
    if (error === undefined) failing.delete(name)
    else failing.set(name, error)
    if ((before === undefined) !== (error === undefined)) changed(name, error)
  }

  const timers = checks.map((check) => {
    let failures = 0
    let running = false
    async function look(): Promise<void> {
      if (running) return
      running = true
      try {
        await check.run()
        failures = 0
        set(check.name, undefined)
      } catch (error) {
        if (++failures >= Math.max(1, check.threshold)) set(check.name, (error as Error).message)
      }
      running = false
    }
    void look()
    return setInterval(look, Math.max(leastIntervalMs, check.intervalMs)).unref()
  })

  return {
    isHealthy: () => failing.size === 0,
    /** What fails, by the name of its check. */
    failures: (): Record<string, string> => Object.fromEntries(failing),
    set,
    /** Takes over what another process has found. */
    replace(failures: Record<string, string>): void {
      for (const name of failing.keys()) if (!(name in failures)) set(name, undefined)
      for (const [name, error] of Object.entries(failures)) set(name, error)
    },
    stop(): void {
      for (const timer of timers) clearInterval(timer)
    },
  }
}
