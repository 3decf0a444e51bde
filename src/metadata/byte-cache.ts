/** A map bounded by bytes that forgets what was put in longest ago. */
export function createByteCache<T>(maxBytes: number) {
  const entries = new Map<string, { value: T; bytes: number }>()
  let total = 0

  function remove(key: string): void {
    total -= entries.get(key)?.bytes ?? 0
    entries.delete(key)
  }

  return {
    get(key: string): T | undefined {
      return entries.get(key)?.value
    },
    set(key: string, value: T, bytes: number): void {
      remove(key)
      if (bytes > maxBytes / 4) return
      entries.set(key, { value, bytes })
      total += bytes
      for (const oldest of entries.keys()) {
        if (total <= maxBytes) break
        remove(oldest)
      }
    },
    delete: remove,
  }
}
