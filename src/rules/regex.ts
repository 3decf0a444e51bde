type Test = (code: number) => boolean

type Step =
  | { op: 'one'; test: Test }
  | { op: 'either'; to: number[] }
  | { op: 'begin' }
  | { op: 'end' }
  | { op: 'found' }

const maxSource = 256
const maxRepeat = 200
/** A text of a tag's length is compared with so many steps at most for each of its letters. */
const maxSteps = 1000

const isDigit: Test = (code) => code >= 48 && code <= 57
const isWord: Test = (code) => isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95
const isBlank: Test = (code) => code === 32 || (code >= 9 && code <= 13)
const not =
  (test: Test): Test =>
  (code) =>
    !test(code)
const classes: Record<string, Test> = {
  ...{ d: isDigit, w: isWord, s: isBlank },
  ...{ D: not(isDigit), W: not(isWord), S: not(isBlank) },
}

/**
 * A regular expression that is matched in time linear in the text, whatever it is: letters, `.`, `[…]`, `\d \w \s`, groups,
 * `|`, `* + ? {m,n}`, `^` and `$`; it fits anywhere unless anchored. Who may set rules may so not stop the registry.
 * @throws Error that says what is wrong with it
 */
export function compileRegex(source: string): (text: string) => boolean {
  if (source.length > maxSource) throw new Error(`it is longer than ${maxSource} characters`)
  let at = 0
  const steps: Step[] = []

  function add(step: Step): number {
    if (steps.length >= maxSteps) throw new Error('it has too many repetitions')
    return steps.push(step) - 1
  }

  const way = () => add({ op: 'either', to: [] })
  const lead = (from: number, ...to: number[]) => (steps[from] = { op: 'either', to })

  /** Alternatives up to a closing bracket or the end. */
  function alternatives(): void {
    const choice = way()
    const [begins, ends]: [number[], number[]] = [[], []]
    for (;;) {
      begins.push(steps.length)
      while (at < source.length && source[at] !== '|' && source[at] !== ')') repeated()
      if (source[at] !== '|') break
      ends.push(way())
      at++
    }
    lead(choice, ...begins)
    for (const end of ends) lead(end, steps.length)
  }

  /** Something and how often it may come. Each time is a copy, so that what it costs is bounded by the steps. */
  function repeated(): void {
    const from = at
    const before = way()
    atom()
    const [min, max] = quantifier()
    const after = at
    const again = () => {
      at = from
      atom()
    }
    for (let i = 1; i < min; i++) again()
    const skips = min === 0 ? [before] : []
    if (max === Infinity) {
      if (min === 0) lead(way(), before)
      else {
        skips.push(way())
        again()
        lead(way(), skips.at(-1)!)
      }
    } else
      for (let i = Math.max(1, min); i < max; i++) {
        skips.push(way())
        again()
      }
    at = after
    lead(before, before + 1)
    for (const skip of skips) lead(skip, skip + 1, steps.length)
    if (/^[*+?{]/.test(source.slice(at))) throw new Error(`nothing can be repeated at ${at + 1}`)
  }

  function quantifier(): [number, number] {
    const [whole = '', sign, least, comma, most] =
      /^(?:([*+?])|\{(\d{1,3})(,?)(\d{0,3})\})/.exec(source.slice(at)) ?? []
    at += whole.length
    if (whole === '') return [1, 1]
    if (sign) return sign === '*' ? [0, Infinity] : sign === '+' ? [1, Infinity] : [0, 1]
    const min = Number(least)
    const max = comma === '' ? min : most === '' ? Infinity : Number(most)
    if (max < min || min > maxRepeat || (max > maxRepeat && max !== Infinity))
      throw new Error(`${whole} is no number of repetitions up to ${maxRepeat}`)
    return [min, max]
  }

  function atom(): void {
    const letter = source[at++]!
    switch (letter) {
      case '(':
        if (source[at] === '?') {
          if (source[at + 1] !== ':') throw new Error('(? is not supported, except (?:')
          at += 2
        }
        alternatives()
        if (source[at++] !== ')') throw new Error('a bracket is not closed')
        return
      case '^':
        return void add({ op: 'begin' })
      case '$':
        return void add({ op: 'end' })
      case '.':
        return void add({ op: 'one', test: () => true })
      case '[':
        return void add({ op: 'one', test: set() })
      case '*':
      case '+':
      case '?':
      case '{':
        throw new Error(`nothing can be repeated at ${at}`)
      default:
        return void add({ op: 'one', test: letter === '\\' ? escaped() : is(letter.charCodeAt(0)) })
    }
  }

  /** What follows a backslash. */
  function escaped(): Test {
    const letter = source[at++]
    if (letter === undefined) throw new Error('it ends with a backslash')
    if (Object.hasOwn(classes, letter)) return classes[letter]!
    if (/[a-zA-Z0-9]/.test(letter)) throw new Error(`\\${letter} is not supported`)
    return is(letter.charCodeAt(0))
  }

  function set(): Test {
    const isNegated = source[at] === '^'
    if (isNegated) at++
    const tests: Test[] = []
    for (let isFirst = true; isFirst || source[at] !== ']'; isFirst = false) {
      if (at >= source.length) throw new Error('a [ is not closed')
      const low = source[at++]!
      if (low === '\\') {
        tests.push(escaped())
        continue
      }
      if (source[at] !== '-' || source[at + 1] === ']' || at + 1 >= source.length) {
        tests.push(is(low.charCodeAt(0)))
        continue
      }
      const [first, last] = [low.charCodeAt(0), source.charCodeAt(at + 1)]
      if (last < first || source[at + 1] === '\\') throw new Error(`${low}-${source[at + 1]} is no range`)
      at += 2
      tests.push((code) => code >= first && code <= last)
    }
    at++
    const any: Test = (code) => tests.some((test) => test(code))
    return isNegated ? not(any) : any
  }

  alternatives()
  if (at < source.length) throw new Error(`nothing was opened that is closed at ${at + 1}`)
  add({ op: 'found' })
  return (text) => fits(steps, text)
}

const is =
  (wanted: number): Test =>
  (code) =>
    code === wanted

/** Goes through the text once, in all ways at the same time. */
function fits(steps: Step[], text: string): boolean {
  /** At which letter a step was last come to, and which are to be looked at. */
  const seenAt = new Int32Array(steps.length).fill(-1)
  let todo: number[] = []
  for (let at = 0; ; at++) {
    todo.push(0) // it may begin anywhere
    const next: number[] = []
    while (todo.length > 0) {
      const place = todo.pop()!
      if (seenAt[place] === at) continue
      seenAt[place] = at
      const step = steps[place]!
      if (step.op === 'found') return true
      if (step.op === 'either') todo.push(...step.to)
      else if (step.op === 'begin' ? at === 0 : step.op === 'end' && at === text.length) todo.push(place + 1)
      else if (step.op === 'one' && at < text.length && step.test(text.charCodeAt(at))) next.push(place + 1)
    }
    if (at === text.length) return false
    todo = next
  }
}
