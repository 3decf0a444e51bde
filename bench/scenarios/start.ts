import { rm } from 'node:fs/promises'
import { type Row, row } from '../measure.ts'
import { productNames, startProduct } from '../products.ts'

/** Start to the first answer on an empty store, and memory when nothing happens. */
export async function start(): Promise<Row[]> {
  const ms: Record<string, number[]> = {}
  const memory: Record<string, number[]> = {}
  for (let i = 0; i < 6; i++) {
    for (const name of productNames) {
      const product = await startProduct(name)
      await new Promise((resolve) => setTimeout(resolve, 2000))
      if (i > 0) (ms[name] ??= []).push(product.startMs) // the first start after a change of the code compiles it
      if (i > 0) (memory[name] ??= []).push(product.memory().now)
      await product.stop()
      await rm(product.folder, { recursive: true, force: true })
    }
  }
  return [
    row({ work: 'start to first answer, empty store', unit: 'ms', target: { atMost: 400 } }, ms),
    row({ work: 'idle memory', unit: 'MB', target: { atMost: 90 } }, memory),
  ]
}
