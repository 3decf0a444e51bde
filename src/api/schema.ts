import * as v from 'valibot'
import type { Fault } from './problem.ts'

// The only file that knows the library: how bodies and parameters are described, checked, and told of in JSON Schema.

export type Schema<T = unknown> = v.GenericSchema<unknown, T>

interface TextOptions {
  min?: number
  max?: number
  pattern?: RegExp
  /** What the pattern asks for, in words. */
  form?: string
}

export function text({
  min = 0,
  max = 1000,
  pattern = /^[^\0]*$/,
  form = 'expected a text without NUL',
}: TextOptions = {}): Schema<string> {
  // Half of a pair of UTF-16 is no character: databases would keep another text than the one that was said.
  return v.pipe(
    v.string(),
    v.minLength(min),
    v.maxLength(max),
    v.regex(pattern, form),
    v.check((value) => value.isWellFormed(), 'expected a text of Unicode: it holds a half of a surrogate pair'),
  )
}

export const whole = (min: number, max: number): Schema<number> =>
  v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max))

export const flag: Schema<boolean> = v.boolean()

export const choice = <const W extends string>(words: readonly W[]): Schema<W> => v.picklist(words)

export const list = <T>(item: Schema<T>, max = 100): Schema<T[]> => v.pipe(v.array(item), v.maxLength(max))

export const anything: Schema<Record<string, unknown>> = v.record(v.string(), v.unknown())

/** A moment in RFC 3339. */
export const moment: Schema<string> = v.pipe(v.string(), v.isoTimestamp('expected such as 2030-01-01T00:00:00Z'))

type Shape = Record<string, Schema>
type Optional<S extends Shape> = { [K in keyof S]?: v.InferOutput<S[K]> | undefined }
type Required<S extends Shape> = { [K in keyof S]: v.InferOutput<S[K]> }

/** An object with these fields and no others; the second ones may be absent. */
export function object<R extends Shape, O extends Shape = Record<never, never>>(
  required: R,
  optional?: O,
): Schema<Required<R> & Optional<O>> {
  const absent = Object.entries(optional ?? {}).map(([name, schema]) => [name, v.optional(schema)] as const)
  return v.strictObject({ ...required, ...Object.fromEntries(absent) }) as unknown as Schema<Required<R> & Optional<O>>
}

/** The value as the schema has it, or what is wrong with it. */
export function check<T>(schema: Schema<T>, value: unknown): { value: T } | { faults: Fault[] } {
  const result = v.safeParse(schema, value)
  if (result.success) return { value: result.output }
  const faults = result.issues.map(({ path = [], message }) => ({
    pointer: path.map(({ key }) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    detail: message,
  }))
  return { faults: faults.slice(0, 20) }
}

/** What is needed of the library's own description of a schema. */
interface Part {
  type: string
  kind?: string
  entries?: Record<string, Part>
  item?: Part
  wrapped?: Part
  options?: readonly string[]
  pipe?: readonly (Part & { requirement?: unknown })[]
}

/** The same schema as JSON Schema 2020-12, for OpenAPI. */
export function jsonSchemaOf(schema: Schema): Record<string, unknown> {
  return describe(schema as unknown as Part)
}

function describe(part: Part): Record<string, unknown> {
  const [first, ...steps] = part.pipe ?? [part]
  return Object.assign(describeType(first!), ...steps.map((step) => describeStep(step, first!)))
}

function describeType({ type, entries = {}, item, wrapped, options }: Part): Record<string, unknown> {
  switch (type) {
    case 'optional':
      return describe(wrapped!)
    case 'array':
      return { type: 'array', items: describe(item!) }
    case 'picklist':
      return { type: 'string', enum: options }
    case 'record':
      return { type: 'object', additionalProperties: true }
    case 'strict_object':
      return {
        type: 'object',
        properties: Object.fromEntries(Object.entries(entries).map(([name, part]) => [name, describe(part)])),
        required: Object.keys(entries).filter((name) => entries[name]!.type !== 'optional'),
        additionalProperties: false,
      }
    default:
      return { type }
  }
}

function describeStep({ type, requirement }: { type: string; requirement?: unknown }, { type: of }: Part) {
  switch (type) {
    case 'min_length':
      return requirement === 0 ? {} : { [of === 'array' ? 'minItems' : 'minLength']: requirement }
    case 'max_length':
      return { [of === 'array' ? 'maxItems' : 'maxLength']: requirement }
    case 'regex':
      return (requirement as RegExp).source === '^[^\\0]*$' ? {} : { pattern: patternOf(requirement as RegExp) }
    case 'integer':
      return { type: 'integer' }
    case 'min_value':
      return { minimum: requirement }
    case 'max_value':
      return { maximum: requirement }
    case 'iso_timestamp':
      return { format: 'date-time' }
    default:
      return {}
  }
}

/** As every reader of JSON Schema knows it: not all know classes of Unicode. */
const patternOf = ({ source }: RegExp) => source.replaceAll(String.raw`\p{Cc}`, String.raw`\u0000-\u001f\u007f-\u009f`)
