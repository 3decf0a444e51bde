import { BlockList, isIP } from 'node:net'
import { matchesPattern } from './pattern.ts'

/** What conditions may ask about: `aws:username`, `aws:SourceIp`, … Keys are in small letters, values texts, some of them several. */
export type Context = Readonly<Record<string, string | readonly string[] | undefined>>

/** Whether the circumstances are such. */
export type Condition = (context: Context) => boolean

/** Compares the value of the context with one of the policy's; undefined: the policy's is of no use. */
type Test = (expected: string, fill: Fill) => ((actual: string, context: Context) => boolean) | undefined

/** Puts values of the context in the place of `${aws:username}` and its like. */
type Fill = (text: string, context: Context) => string

const tests: Record<string, Test> = {
  StringEquals: (expected, fill) => (actual, context) => fill(expected, context) === actual,
  StringEqualsIgnoreCase: (expected, fill) => (actual, context) =>
    fill(expected, context).toLowerCase() === actual.toLowerCase(),
  StringLike: (expected, fill) => (actual, context) => matchesPattern(fill(expected, context), actual),
  ArnLike: (expected, fill) => (actual, context) => matchesArn(fill(expected, context), actual),
  NumericEquals: number((actual, expected) => actual === expected),
  NumericLessThan: number((actual, expected) => actual < expected),
  NumericLessThanEquals: number((actual, expected) => actual <= expected),
  NumericGreaterThan: number((actual, expected) => actual > expected),
  NumericGreaterThanEquals: number((actual, expected) => actual >= expected),
  DateEquals: date((actual, expected) => actual === expected),
  DateLessThan: date((actual, expected) => actual < expected),
  DateLessThanEquals: date((actual, expected) => actual <= expected),
  DateGreaterThan: date((actual, expected) => actual > expected),
  DateGreaterThanEquals: date((actual, expected) => actual >= expected),
  Bool: (expected) => (/^(true|false)$/i.test(expected) ? (actual) => actual === expected.toLowerCase() : undefined),
  IpAddress: inNetwork,
}
tests.ArnEquals = tests.ArnLike!

/** What is the opposite of what: these hold when none of the values fits, and also where the key is absent. */
const negations: Record<string, string> = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
  NumericNotEquals: 'NumericEquals',
  DateNotEquals: 'DateEquals',
  NotIpAddress: 'IpAddress',
}

/**
 * A condition of IAM: `operator` with what may stand before and behind it, the key it asks about and the values it takes.
 * @throws Error that says what is wrong with it
 */
export function parseCondition(operator: string, key: string, values: string[], fill: Fill): Condition {
  const name = key.toLowerCase()
  const [, quantifier, middle = '', ifExists] =
    /^(?:(ForAnyValue|ForAllValues):)?(.+?)(IfExists)?$/.exec(operator) ?? []
  if (middle === 'Null') return parseNull(values, name)
  const isNegated = Object.hasOwn(negations, middle)
  const positive = isNegated ? negations[middle]! : middle
  const test = Object.hasOwn(tests, positive) ? tests[positive] : undefined
  if (!test) throw new Error(`has the operator ${JSON.stringify(operator)}, which is not known`)
  const compared = values.map((value) => {
    const compare = test(value, fill)
    if (!compare) throw new Error(`compares ${key} by ${operator} with ${JSON.stringify(value)}, which cannot be`)
    return compare
  })
  const fits = (actual: string, context: Context) => compared.some((compare) => compare(actual, context)) !== isNegated
  return (context) => {
    const actual = context[name]
    const given = actual === undefined ? [] : typeof actual === 'string' ? [actual] : actual
    if (given.length === 0) {
      if (quantifier) return quantifier === 'ForAllValues' || ifExists !== undefined
      return isNegated || ifExists !== undefined
    }
    if (quantifier === 'ForAllValues') return given.every((one) => fits(one, context))
    if (quantifier === 'ForAnyValue' || !isNegated) return given.some((one) => fits(one, context))
    return given.every((one) => fits(one, context))
  }
}

function parseNull(values: string[], name: string): Condition {
  const [wanted, ...rest] = values
  if (rest.length > 0 || !/^(true|false)$/i.test(wanted ?? ''))
    throw new Error('has Null with another value than true or false')
  return (context) =>
    (context[name] === undefined || context[name]?.length === 0) === (wanted!.toLowerCase() === 'true')
}

function number(compare: (actual: number, expected: number) => boolean): Test {
  return (text) => {
    const expected = readNumber(text)
    return Number.isNaN(expected) ? undefined : (actual) => compare(readNumber(actual), expected)
  }
}

const readNumber = (text: string) => (/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : NaN)

function date(compare: (actual: number, expected: number) => boolean): Test {
  return (text) => {
    const expected = readDate(text)
    return Number.isNaN(expected) ? undefined : (actual) => compare(readDate(actual), expected)
  }
}

/** A moment in ISO 8601 or as seconds since 1970. */
function readDate(text: string): number {
  if (/^\d+$/.test(text) && text.length > 4) return Number(text) * 1000
  return /^\d{4}(-\d\d(-\d\d(T[\d:.]+(Z|[+-]\d\d:?\d\d)?)?)?)?$/.test(text) ? Date.parse(text) : NaN
}

function inNetwork(text: string): ReturnType<Test> {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  const most = family === 4 ? 32 : 128
  if (family === 0 || rest.length > 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)))
    return undefined
  const network = new BlockList()
  network.addSubnet(address, bits === undefined ? most : Number(bits), family === 4 ? 'ipv4' : 'ipv6')
  return (actual) => isIP(actual) !== 0 && network.check(actual, isIP(actual) === 4 ? 'ipv4' : 'ipv6')
}

/** Each part of an ARN for itself: a `*` reaches no further than its colon. */
function matchesArn(pattern: string, arn: string): boolean {
  const [expected, actual] = [splitArn(pattern), splitArn(arn)]
  if (expected.length !== 6 || actual.length !== 6) return false
  return expected.every((part, index) => matchesPattern(part, actual[index]!))
}

function splitArn(arn: string): string[] {
  const parts = arn.split(':')
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')]
}
