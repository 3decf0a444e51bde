import type { Product } from './products.ts'

/** One row of the result: the figures of both products, their ratio and whether it reaches the target. */
export interface Row {
  work: string
  unit: string
  holdfast: number | null
  'docker-registry': number | null
  /** docker-registry's figure divided by ours where less is better, ours by its where more is. */
  ratio: number | null
  target: string
  met: boolean
  raw: Record<string, number[]>
}

interface RowOptions {
  work: string
  unit: string
  /** The least ratio, or the most our own figure may be, in the row's unit. */
  target: { ratio: number } | { atMost: number }
  moreIsBetter?: boolean
  repetitions?: number
}

/** Runs the work with each product in turn, A B A B …, and compares the medians. */
export async function compare(
  products: Product[],
  { work, unit, target, moreIsBetter = false, repetitions = 3 }: RowOptions,
  measure: (product: Product) => Promise<number | null>,
): Promise<Row> {
  const raw: Record<string, number[]> = {}
  for (let i = 0; i < repetitions; i++) {
    for (const product of products) {
      const figure = await measure(product)
      if (figure !== null) (raw[product.name] ??= []).push(figure)
    }
  }
  return row({ work, unit, target, moreIsBetter }, raw)
}

/** Makes a row of raw figures. */
export function row({ work, unit, target, moreIsBetter }: RowOptions, raw: Record<string, number[]>): Row {
  const [ours, theirs] = [median(raw.holdfast), median(raw['docker-registry'])]
  const ratio = ours === null || theirs === null ? null : round(moreIsBetter ? ours / theirs : theirs / ours)
  const met = 'ratio' in target ? ratio !== null && ratio >= target.ratio : ours !== null && ours <= target.atMost
  const wanted = 'ratio' in target ? `ratio at least ${target.ratio}` : `at most ${target.atMost} ${unit}`
  const rounded = Object.fromEntries(Object.entries(raw).map(([name, figures]) => [name, figures.map(round)]))
  return { work, unit, holdfast: ours, 'docker-registry': theirs, ratio, target: wanted, met, raw: rounded }
}

function median(figures: number[] | undefined): number | null {
  if (!figures || figures.length === 0) return null
  return round(figures.toSorted((a, b) => a - b)[figures.length >> 1]!)
}

function round(figure: number): number {
  return Number(figure.toPrecision(4))
}

/** CPU seconds of the server while the work runs. */
export async function cpuOf(product: Product, work: () => Promise<unknown>): Promise<number> {
  const before = product.cpu()
  await work()
  return product.cpu() - before
}

/** Milliseconds of the middle one of `times` runs, after two that are not counted. */
export async function medianMs(times: number, work: () => Promise<unknown>): Promise<number> {
  const taken: number[] = []
  for (let i = 0; i < times + 2; i++) {
    const begun = performance.now()
    await work()
    if (i >= 2) taken.push(performance.now() - begun)
  }
  return median(taken)!
}
