// How documents of rules are read: what is not known is refused, and each error names the place by a JSON pointer.

const maxItems = 100
const maxText = 300

/** @throws Error */
export function asObject(value: unknown, at: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new Error(`${at || 'the document'}: expected an object`)
}

/** The object, if it has no other fields than these. @throws Error */
export function expectFields<F extends string>(
  value: Record<string, unknown>,
  at: string,
  fields: readonly F[],
): Partial<Record<F, unknown>> {
  const other = Object.keys(value).find((field) => !fields.includes(field as F))
  if (other === undefined) return value as Partial<Record<F, unknown>>
  throw new Error(`${at}/${other}: is not known: expected ${fields.join(', ')}`)
}

/** @throws Error */
export function asList(value: unknown, at: string): unknown[] {
  if (Array.isArray(value) && value.length <= maxItems) return value
  throw new Error(`${at}: expected a list of at most ${maxItems}`)
}

/** @throws Error */
export function asText(value: unknown, at: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= maxText && !/\p{Cc}/u.test(value)) return value
  throw new Error(`${at}: expected a text of one line, ${maxText} characters at most`)
}

/** @throws Error */
export function asTexts(value: unknown, at: string): string[] {
  const texts = asList(value, at).map((item, index) => asText(item, `${at}/${index}`))
  if (texts.length === 0) throw new Error(`${at}: expected at least one`)
  return texts
}

/** @throws Error */
export function asWhole(value: unknown, at: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 1_000_000) return value as number
  throw new Error(`${at}: expected a whole number from 1`)
}

/** @throws Error */
export function asFlag(value: unknown, at: string): boolean {
  if (typeof value === 'boolean') return value
  throw new Error(`${at}: expected true or false`)
}
