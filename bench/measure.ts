import { productNames, type Side } from './products.ts'

/** One row of the result: the figures of both sides, their ratio and whether it reaches the target. */
export interface Row {
  work: string
  unit: string
  /** Ours, and what it is compared with. */
  sides: readonly [string, string]
  figures: [number | null, number | null]
  /** The other's figure divided by ours where less is better, ours by the other's where more is. */
  ratio: number | null
  target: string
  met: boolean
  raw: Record<string, number[]>
}

/** The least ratio, the most our own figure may be, in the row's unit, or nothing that is asked for. */
type Target = { ratio: number } | { atMost: number } | undefined

interface RowOptions {
  work: string
  unit: string
  target?: Target
  moreIsBetter?: boolean
  sides?: readonly [string, string]
}

/** Runs the work with each product in turn, A B A B …, and compares the medians. */
export async function compare<Measured extends Side>(
  products: Measured[],
  { repetitions = 3, ...options }: RowOptions & { repetitions?: number },
  measure: (product: Measured) => Promise<number | null>,
): Promise<Row> {
  const raw: Record<string, number[]> = {}
  for (let i = 0; i < repetitions; i++) {
    for (const product of products) {
      const figure = await measure(product)
      if (figure !== null) (raw[product.name] ??= []).push(figure)
    }
  }
  return row(options, raw)
}

/** The same for work that gives several figures at once, by their units: a row for each. */
export async function compareAll<Measured extends { name: string }>(
  sides: readonly [Measured, Measured],
  {
    work,
    units,
    repetitions = 3,
  }: { work: string; units: Record<string, Omit<RowOptions, 'work' | 'unit'>>; repetitions?: number },
  measure: (side: Measured, repetition: number) => Promise<Record<string, number>>,
): Promise<Row[]> {
  const raw: Record<string, Record<string, number[]>> = {}
  for (let i = 0; i < repetitions; i++)
    for (const side of sides)
      for (const [unit, figure] of Object.entries(await measure(side, i)))
        ((raw[unit] ??= {})[side.name] ??= []).push(figure)
  const names = [sides[0].name, sides[1].name] as const
  return Object.entries(units)
    .filter(([unit]) => raw[unit])
    .map(([unit, options]) => row({ work, unit, sides: names, ...options }, raw[unit]!))
}

/** Makes a row of raw figures. */
export function row(
  { work, unit, target, moreIsBetter = false, sides = productNames }: RowOptions,
  raw: Record<string, number[]>,
): Row {
  const [ours, theirs] = [median(raw[sides[0]]), median(raw[sides[1]])]
  const ratio =
    ours === null || theirs === null || ours * theirs === 0 ? null : round(moreIsBetter ? ours / theirs : theirs / ours)
  const rounded = Object.fromEntries(Object.entries(raw).map(([name, figures]) => [name, figures.map(round)]))
  const figures: Row['figures'] = [ours, theirs]
  return { work, unit, sides, figures, ratio, ...judge(target, unit, ours, ratio), raw: rounded }
}

// oxlint-disable-next-line max-params -- a line of a table
function judge(target: Target, unit: string, ours: number | null, ratio: number | null): Pick<Row, 'target' | 'met'> {
  if (!target) return { target: '–', met: true }
  if ('ratio' in target)
    return { target: `ratio at least ${target.ratio}`, met: ratio !== null && ratio >= target.ratio }
  return { target: `at most ${target.atMost} ${unit}`, met: ours !== null && ours <= target.atMost }
}

function median(figures: number[] | undefined): number | null {
  if (!figures || figures.length === 0) return null
  return round(figures.toSorted((a, b) => a - b)[figures.length >> 1]!)
}

function round(figure: number): number {
  return Number(figure.toPrecision(4))
}

/** CPU seconds of the server while the work runs. */
export async function cpuOf(product: Side, work: () => Promise<unknown>): Promise<number> {
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
