import type { Intake } from './intake.ts'
import type { PartWriter } from './parts.ts'
import type { Pool } from './pool.ts'

/** Up to so many bytes nobody waits for memory: most blobs are small. */
export const smallBytes = 64 << 10
/** So long an upload may gather a part while others wait for its memory. */
const turnMs = 5000

/** Bytes after the last part: here, or lying in the store. */
export interface Rest {
  size: number
  /** Undefined while they lie elsewhere. */
  chunks: Buffer[] | undefined
  giveBack(): void
}

interface Deps {
  pool: Pool
  /** Fetches what lies elsewhere. */
  load(): Promise<Buffer[]>
  /** Puts it elsewhere. */
  save(chunks: Buffer[], size: number): Promise<void>
}

export const nothing: Rest = { size: 0, chunks: [], giveBack: () => undefined }

/**
 * Cuts what comes in into parts and gives what is left below one. The memory of a part is borrowed before it is gathered, so all
 * uploads together stay within the pool; who gathers slowly while others wait puts down what it has and gets in line again.
 */
export async function receive(
  intake: Intake,
  parts: PartWriter,
  rest: Rest,
  { pool, load, save }: Deps,
): Promise<Rest> {
  for (;;) {
    await intake.until(smallBytes)
    if (intake.hasEnded() && intake.bytes() === 0) return rest
    const isSmall = rest.chunks !== undefined && rest.size + intake.bytes() <= 2 * smallBytes
    if (intake.hasEnded() && isSmall) return join(rest, intake, Infinity)
    if (!parts.mayOverlap()) await parts.settled()
    const size = parts.nextSize()
    const giveBack = await pool.borrow(size)
    try {
      const chunks = rest.chunks ?? (await load())
      const begun = { size: rest.size, chunks, giveBack }
      while (!intake.hasEnded() && begun.size + intake.bytes() < size) {
        await intake.until(size - begun.size, turnMs)
        if (pool.isShort()) break
      }
      const gathered = join(begun, intake, size - begun.size)
      if (gathered.size === size) {
        await parts.send(gathered.chunks!, size, giveBack)
        rest = { ...nothing }
      } else if (intake.hasEnded()) return gathered
      else {
        await parts.settled()
        await save(gathered.chunks!, gathered.size)
        giveBack()
        rest = { ...nothing, size: gathered.size, chunks: undefined }
      }
    } catch (error) {
      giveBack()
      throw error
    }
  }
}

function join(rest: Rest, intake: Intake, bytes: number): Rest {
  const more = intake.take(bytes)
  const size = more.reduce((sum, chunk) => sum + chunk.length, rest.size)
  return { ...rest, size, chunks: [...rest.chunks!, ...more] }
}
