import { StoreError } from './store.ts'

/** Why a store cannot be used, in one line that says what to do. `advice` goes by the store's word for what is wrong. */
export function explain(error: unknown, where: string, advice: Record<string, string>, otherwise: string): Error {
  const reason = error instanceof StoreError ? error.reason : ''
  const said = error instanceof Error ? error.message : String(error)
  const why = Object.hasOwn(advice, reason) ? advice[reason] : otherwise
  return new Error(`Cannot use ${where}: ${why} (${said.replaceAll('\n', ' ')})`, { cause: error })
}
