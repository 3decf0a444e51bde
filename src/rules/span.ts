const units = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const
const most = 3650 * units.d

/** A span of time such as 90m, 14d or 3w in milliseconds; undefined for what is none, or longer than ten years. */
export function parseSpan(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  if (!count) return undefined
  const ms = Number(count) * units[unit as keyof typeof units]
  return ms >= units.s && ms <= most ? ms : undefined
}
