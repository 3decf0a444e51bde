/** Whether content could not be read because it is not what was written, as a storage says that knows it. */
export function isDamage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EBADMSG'
}
