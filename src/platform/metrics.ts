/** Numbers for Prometheus in its text format (0.0.4). Values of labels come in the order of their names. */
export interface Metrics {
  counter(name: string, help: string, labels?: string[]): (values: string[], amount?: number) => void
  /** What is read when it is asked for. */
  gauge(name: string, help: string, read: () => number | Promise<number>, more?: GaugeOptions): void
  /** A gauge that goes up and down by itself. */
  level(name: string, help: string, labels: string[]): (values: string[], amount: number) => void
  histogram(name: string, help: string, labels: string[], buckets: number[]): (values: string[], value: number) => void
  /** What other processes add to a text. */
  snapshot(): Promise<Snapshot>
  /** All numbers, together with those of other processes. */
  text(others?: Snapshot[]): Promise<string>
}

interface GaugeOptions {
  kind?: 'gauge' | 'counter'
  /** What it is of several processes: that of the one that is asked, by default. */
  across?: Across
}

type Across = 'own' | 'sum' | 'max'
/** A name with its labels, and the number. */
type Sample = [key: string, value: number]
/** The samples of each family, by its name. */
export type Snapshot = Record<string, Sample[]>

interface Family {
  name: string
  head: string
  across: Across
  samples(): Sample[] | Promise<Sample[]>
}

interface Bars {
  labels: string
  counts: number[]
  sum: number
  total: number
}

export function createMetrics(): Metrics {
  const families: Family[] = []

  function family(name: string, help: string, kind: string, more: Pick<Family, 'across' | 'samples'>): void {
    families.push({ name, head: `# HELP ${name} ${help}\n# TYPE ${name} ${kind}`, ...more })
  }

  function sums(name: string, help: string, labels: string[], kind: 'counter' | 'gauge') {
    const values = new Map<string, number>()
    const samples = () => Array.from(values, ([key, value]): Sample => [`${name}${braces(key)}`, value])
    family(name, help, kind, { across: 'sum', samples })
    return (own: string[], amount = 1) => {
      const key = pairs(labels, own)
      values.set(key, (values.get(key) ?? 0) + amount)
    }
  }

  return {
    counter: (name, help, labels = []) => sums(name, help, labels, 'counter'),
    level: (name, help, labels) => sums(name, help, labels, 'gauge'),
    gauge(name, help, read, { kind = 'gauge', across = 'own' } = {}) {
      family(name, help, kind, { across, samples: async () => [[name, await read()]] })
    },
    histogram(name, help, labels, buckets) {
      const series = new Map<string, Bars>()
      const samples = () => [...series.values()].flatMap((bars) => samplesOf(name, bars, buckets))
      family(name, help, 'histogram', { across: 'sum', samples })
      return (own, value) => {
        const key = pairs(labels, own)
        let bars = series.get(key)
        if (!bars) series.set(key, (bars = { labels: key, counts: buckets.map(() => 0), sum: 0, total: 0 }))
        const bar = buckets.findIndex((limit) => value <= limit)
        if (bar >= 0) bars.counts[bar]!++
        bars.sum += value
        bars.total++
      }
    },
    async snapshot() {
      const shared = families.filter(({ across }) => across !== 'own')
      return Object.fromEntries(await Promise.all(shared.map(async ({ name, samples }) => [name, await samples()])))
    },
    async text(others = []) {
      const parts = families.map(async ({ name, head, across, samples }) => {
        const values = new Map(await samples())
        for (const [key, value] of others.flatMap((other) => other[name] ?? []))
          values.set(key, across === 'max' ? Math.max(values.get(key) ?? value, value) : (values.get(key) ?? 0) + value)
        return [head, ...Array.from(values, ([key, value]) => `${key} ${value}`)].join('\n')
      })
      return `${(await Promise.all(parts)).join('\n')}\n`
    },
  }
}

function samplesOf(name: string, { labels, counts, sum, total }: Bars, buckets: number[]): Sample[] {
  const before = labels === '' ? '' : `${labels},`
  let below = 0
  return [
    ...buckets.map((limit, index): Sample => [`${name}_bucket{${before}le="${limit}"}`, (below += counts[index]!)]),
    [`${name}_bucket{${before}le="+Inf"}`, total],
    [`${name}_sum${braces(labels)}`, sum],
    [`${name}_count${braces(labels)}`, total],
  ]
}

function pairs(labels: string[], values: string[]): string {
  let text = ''
  for (const [index, label] of labels.entries()) text += `${index > 0 ? ',' : ''}${label}="${escape(values[index]!)}"`
  return text
}

function escape(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n') : value
}

function braces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}
