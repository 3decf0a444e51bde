/** What the exit codes of the commands for users mean. */
export const exitCodes = {
  failed: 1,
  usage: 2,
  forbidden: 4,
  notFound: 5,
  conflict: 6,
  limited: 8,
  later: 75,
} as const

/** An error for the user, with the exit code of the program. */
export function failure(kind: keyof typeof exitCodes, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { exitCode: exitCodes[kind] })
}

/** The exit code that stands for a status of HTTP. */
export function kindOfStatus(status: number): keyof typeof exitCodes {
  if (status === 400 || status === 422) return 'usage'
  if (status === 401 || status === 403) return 'forbidden'
  if (status === 404) return 'notFound'
  if (status === 409 || status === 412 || status === 428) return 'conflict'
  if (status === 429) return 'limited'
  return status >= 500 ? 'later' : 'failed'
}

/** Why a registry gave no answer. Some ports `fetch` never asks, as browsers do not (https://fetch.spec.whatwg.org/#port-blocking). */
export function unreachable(address: string, error: unknown): Error {
  const { cause, message } = error as { cause?: Error; message: string }
  if (cause?.message !== 'bad port')
    return failure('later', `Cannot reach ${address}: ${cause?.message || message}`, error)
  const { port } = new URL(address)
  return failure(
    'usage',
    `Cannot ask ${address}: neither this program nor any browser asks port ${port}; let the registry listen on another one`,
    error,
  )
}
