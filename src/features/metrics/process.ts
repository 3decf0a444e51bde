import { readdirSync, readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Metrics } from '../../platform/metrics.ts'

/** Metrics of the process under their usual names; gives what ends the measuring. */
export function describeProcess(all: Metrics, clock: { now(): Date }): () => void {
  const startedAt = clock.now().getTime() / 1000 - process.uptime()
  all.gauge('process_start_time_seconds', 'Start time of the process since the epoch in seconds.', () => startedAt)
  all.gauge('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', cpuSeconds, {
    kind: 'counter',
    across: 'sum',
  })
  all.gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss(), {
    across: 'sum',
  })
  if (process.platform === 'linux') {
    all.gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', virtualMemory, { across: 'sum' })
    all.gauge('process_open_fds', 'Number of open file descriptors.', () => readdirSync('/proc/self/fd').length, {
      across: 'sum',
    })
    all.gauge('process_max_fds', 'Maximum number of open file descriptors.', maxFiles)
  }
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  all.gauge(
    'holdfast_event_loop_delay_p99_seconds',
    'How late the event loop came, since the last look',
    () => {
      const seconds = delay.percentile(99) / 1e9
      delay.reset()
      return seconds
    },
    { across: 'max' },
  )
  return () => void delay.disable()
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function virtualMemory(): number {
  return Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024
}

function maxFiles(): number {
  return Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0)
}
