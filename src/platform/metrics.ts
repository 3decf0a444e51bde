/** Numbers for Prometheus in its text format (0.0.4). Values of labels come in the order of their names. */
export interface Metrics {
  counter(name: string, help: string, labels?: string[]): (values: string[], amount?: number) => void
  /** What is read when it is asked for. */
  gauge(name: string, help: string, read: () => number | Promise<number>, kind?: 'gauge' | 'counter'): void
  /** A gauge that goes up and down by itself. */
  level(name: string, help: string, labels: string[]): (values: string[], amount: number) => void
  histogram(name: string, help: string, labels: string[], buckets: number[]): (values: string[], value: number) => void
  text(): Promise<string>
}

interface Bars {
  labels: string
  counts: number[]
  sum: number
  total: number
}

export function createMetrics(): Metrics {
  const families: { head: string; lines(): string[] | Promise<string[]> }[] = []

  function family(name: string, help: string, kind: string, lines: () => string[] | Promise<string[]>): void {
    families.push({ head: `# HELP ${name} ${help}\n# TYPE ${name} ${kind}`, lines })
  }

  function sums(name: string, help: string, labels: string[], kind: 'counter' | 'gauge') {
    const values = new Map<string, number>()
    family(name, help, kind, () => Array.from(values, ([key, value]) => `${name}${braces(key)} ${value}`))
    return (own: string[], amount = 1) => {
      const key = pairs(labels, own)
      values.set(key, (values.get(key) ?? 0) + amount)
    }
  }

  return {
    counter: (name, help, labels = []) => sums(name, help, labels, 'counter'),
    level: (name, help, labels) => sums(name, help, labels, 'gauge'),
    gauge(name, help, read, kind = 'gauge') {
      family(name, help, kind, async () => [`${name} ${await read()}`])
    },
    histogram(name, help, labels, buckets) {
      const series = new Map<string, Bars>()
      family(name, help, 'histogram', () => [...series.values()].flatMap((bars) => barLines(name, bars, buckets)))
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
    async text() {
      const parts = await Promise.all(families.map(async ({ head, lines }) => [head, ...(await lines())].join('\n')))
      return `${parts.join('\n')}\n`
    },
  }
}

function barLines(name: string, { labels, counts, sum, total }: Bars, buckets: number[]): string[] {
  const before = labels === '' ? '' : `${labels},`
  let below = 0
  return [
    ...buckets.map((limit, index) => `${name}_bucket{${before}le="${limit}"} ${(below += counts[index]!)}`),
    `${name}_bucket{${before}le="+Inf"} ${total}`,
    `${name}_sum${braces(labels)} ${sum}`,
    `${name}_count${braces(labels)} ${total}`,
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
