import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { matchesPattern } from '../identity/pattern.ts'
import { parseRetention } from './retention-document.ts'
import { type ImageState, plan } from './retention.ts'
import { compareVersions, parseVersion } from './semver.ts'

const day = 86_400_000
const now = Date.UTC(2030, 0, 31)

type Given = [digest: string, tags: string[], pushedDaysAgo: number, pulledDaysAgo?: number | undefined]

const imageOf = ([digest, tags, pushed, pulled]: Given): ImageState => ({
  digest,
  tags: tags.map((name) => ({ name, movedAt: now - pushed * day })),
  pushedAt: now - pushed * day,
  pulledAt: pulled === undefined ? undefined : now - pulled * day,
  platform: '',
  isAttached: false,
})

function expired(document: unknown, images: Given[], more: { kept?: [string, string][]; keepPulledMs?: number } = {}) {
  const { kept = [], keepPulledMs = 0 } = more
  const verdicts = plan(images.map(imageOf), [parseRetention(document, '*')], {
    ...{ repository: 'acme/a', now, keepPulledMs },
    kept: new Map(kept),
  })
  return verdicts.filter(({ verdict }) => verdict === 'expire').map(({ tag, digest }) => tag ?? digest)
}

const rules = (...all: object[]) => ({ rules: all })
const releases: Given[] = [
  ['a', ['v1.0.0'], 40],
  ['b', ['v1.10.0'], 30],
  ['c', ['v1.9.0', 'latest'], 20],
  ['d', ['v2.0.0-rc.1'], 5],
  ['e', [], 50],
  ['f', ['pr-1'], 15, 2],
]

describe('retention', () => {
  for (const [name, document, expected] of [
    ['lets nothing go that no rule is about', rules({ action: 'keep', tags: ['v*'] }), []],
    [
      'lets go what is beyond the newest by push',
      rules({ action: 'expire', tags: ['v*'], beyondNewest: 2 }),
      ['v1.0.0', 'v1.10.0'],
    ],
    [
      'lets go what is beyond the newest by version',
      rules({ action: 'expire', by: 'version', beyondNewest: 2 }),
      ['v1.0.0', 'v1.9.0'],
    ],
    [
      'keeps also against rules that come first',
      rules({ action: 'expire', tags: ['*'], priority: 1 }, { action: 'keep', tags: ['v*', 'latest'], priority: 9 }),
      ['pr-1'],
    ],
    ['goes by age', rules({ action: 'expire', olderThan: '16d' }), ['v1.0.0', 'v1.10.0', 'v1.9.0', 'latest']],
    ['goes by pulls', rules({ action: 'expire', tags: ['/^pr-\\d+$/'], notPulledFor: '3d' }), []],
    ['takes untagged images', rules({ action: 'expire', untagged: true, olderThan: '7d' }), ['e']],
    ['wants all conditions', rules({ action: 'expire', olderThan: '10d', beyondNewest: 4 }), ['v1.0.0', 'v1.10.0']],
    ['leaves out', rules({ action: 'expire', exclude: ['v1*', 'latest'], tags: ['*'] }), ['v2.0.0-rc.1', 'pr-1']],
    ['is about its repositories alone', rules({ action: 'expire', tags: ['*'], repositories: 'other/*' }), []],
  ] as const)
    it(name, () => {
      assert.deepEqual(expired(document, releases), expected)
    })

  it('leaves what a lock keeps, and what was pulled lately', () => {
    const document = rules({ action: 'expire', tags: ['*'] })
    assert.ok(!expired(document, releases, { kept: [['latest', 'the tag is locked']] }).includes('latest'))
    assert.ok(!expired(document, releases, { keepPulledMs: 30 * day }).includes('pr-1'))
  })

  it('goes by platforms, never of an index, and keeps what is not known yet', () => {
    const of = (name: string, pushed: number, platform: string | undefined): ImageState => ({
      ...imageOf([name, [name], pushed]),
      platform,
    })
    const images = [
      of('amd', 9, 'linux/amd64'),
      of('arm', 8, 'linux/arm64/v8'),
      of('arm-2', 7, 'linux/arm64/v8'),
      of('index', 6, ''),
      of('new', 1, undefined),
    ]
    const gone = (...given: object[]) =>
      plan(images, [parseRetention(rules(...given), '*')], {
        ...{ repository: 'acme/a', now, keepPulledMs: 0, kept: new Map() },
      }).flatMap(({ verdict, tag }) => (verdict === 'expire' ? tag : []))
    const all = { action: 'expire', tags: ['*'] }
    assert.deepEqual(gone({ action: 'expire', platforms: ['linux/arm64*'] }), ['arm', 'arm-2'])
    assert.deepEqual(gone({ action: 'expire', platforms: ['linux/arm64*'], beyondNewest: 1 }), ['arm'])
    assert.deepEqual(gone(all, { action: 'keep', platforms: ['linux/*'] }), ['index'])
    assert.deepEqual(gone(all, { action: 'keep', platforms: ['/^linux.arm64/'], newest: 1 }), ['amd', 'arm', 'index'])
  })

  for (const [document, message] of [
    [{}, /\/rules: expected a list/],
    [rules({ action: 'drop' }), /\/rules\/0\/action: expected keep or expire/],
    [rules({ action: 'expire' }), /everything would go/],
    [rules({ action: 'expire', olderThan: '2 weeks' }), /olderThan: expected a span/],
    [rules({ action: 'expire', tags: ['/(/'] }), /no regular expression/],
    [rules({ action: 'expire', untagged: true, tags: ['a'] }), /one of tags and untagged/],
    [rules({ action: 'keep', platform: 'linux/amd64' }), /platform: is not known/],
    [rules({ action: 'keep', platforms: ['/(/'] }), /no regular expression/],
    [rules({ action: 'keep', newst: 1 }), /newst: is not known/],
  ] as const)
    it(`refuses ${JSON.stringify(document)}`, () => {
      assert.throws(() => parseRetention(document, '*'), message)
    })

  it('comes to what a simple reading of the rules does, in any order of them', () => {
    const rule = fc.record(
      {
        action: fc.constantFrom('keep', 'expire'),
        tags: fc.constantFrom(['*'], ['a*'], ['b?'], ['c']),
        olderThan: fc.constantFrom('5d', '20d'),
        newest: fc.integer({ min: 1, max: 3 }),
        beyondNewest: fc.integer({ min: 1, max: 3 }),
        notPulledFor: fc.constantFrom('3d', '30d'),
      },
      { requiredKeys: ['action', 'tags'] },
    )
    const image = fc.tuple(
      fc.subarray(['a', 'a1', 'b1', 'b2', 'c', 'd'], { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 40 }),
      fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
    )
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 5 }),
        fc.array(image, { maxLength: 6 }),
        fc.nat(),
        (given, found, turn) => {
          const seen = new Set<string>()
          const images = found
            .map(([tags, pushed, pulled], index): Given => {
              const own = tags.filter((tag) => !seen.has(tag) && seen.add(tag))
              return [`i${index}`, own, pushed, pulled]
            })
            .filter(([, tags]) => tags.length > 0)
          const turned = given.map((_, index) => given[(index + turn) % given.length]!)
          const result = expired(rules(...given), images).toSorted()
          assert.deepEqual(expired(rules(...turned), images.toReversed()).toSorted(), result)
          assert.deepEqual(result, simply(given, images).toSorted())
        },
      ),
      { numRuns: 1000 },
    )
  })
})

interface Simple {
  action: string
  tags: readonly string[]
  olderThan?: string
  newest?: number
  beyondNewest?: number
  notPulledFor?: string
}

/** The rules, read one tag at a time. */
function simply(given: Simple[], images: Given[]): string[] {
  const all = images.flatMap(([, tags, pushed, pulled]) =>
    tags.map((tag) => ({ tag, pushed, pulled: pulled ?? Infinity })),
  )
  const holds = (rule: (typeof given)[number], one: (typeof all)[number]) => {
    const fits = (tag: string) => rule.tags.some((pattern) => matchesPattern(pattern, tag))
    if (!fits(one.tag)) return false
    const newer = all.filter(
      ({ tag, pushed }) => fits(tag) && (pushed < one.pushed || (pushed === one.pushed && tag < one.tag)),
    ).length
    if (rule.newest !== undefined && newer >= rule.newest) return false
    if (rule.beyondNewest !== undefined && newer < rule.beyondNewest) return false
    if (rule.olderThan !== undefined && one.pushed <= Number.parseInt(rule.olderThan, 10)) return false
    return rule.notPulledFor === undefined || Math.min(one.pushed, one.pulled) > Number.parseInt(rule.notPulledFor, 10)
  }
  const any = (action: string, one: (typeof all)[number]) =>
    given.some((rule) => rule.action === action && holds(rule, one))
  return all.filter((one) => any('expire', one) && !any('keep', one)).map(({ tag }) => tag)
}

const select = (selection: object, rulePriority = 1) => ({
  rulePriority,
  description: `rule ${rulePriority}`,
  selection,
  action: { type: 'expire' },
})
const count = { countType: 'imageCountMoreThan', countNumber: 1 }
const fiveDays = { countType: 'sinceImagePushed', countUnit: 'days', countNumber: 5 }
const tagged = (...tagPrefixList: string[]) => ({ tagStatus: 'tagged', tagPrefixList })

describe("Amazon's lifecycle policies", () => {
  const betaProd: Given[] = [
    ['A', ['beta-1', 'prod-1'], 10],
    ['B', ['beta-2', 'prod-2'], 9],
    ['C', ['beta-3'], 8],
  ]
  const alphaBeta: Given[] = [
    ['A', ['alpha-1'], 12],
    ['B', ['beta-1'], 11],
    ['C', ['alpha-2', 'beta-2'], 10],
    ['D', ['alpha-3'], 4],
    ['E', ['beta-3'], 3],
    ['F', ['alpha-4', 'beta-4'], 2],
  ]
  const some: Given[] = [
    ['A', ['alpha-1'], 4],
    ['B', ['beta-1'], 3],
    ['C', [], 2],
    ['D', ['alpha-2'], 1],
  ]
  const cases: [string, object[], Given[], string[]][] = [
    [
      'prod before beta: B would be missing to prod',
      [select({ ...tagged('prod'), ...count }), select({ ...tagged('beta'), ...count }, 2)],
      betaProd,
      ['A'],
    ],
    [
      'beta before prod',
      [select({ ...tagged('beta'), ...count }), select({ ...tagged('prod'), ...count }, 2)],
      betaProd,
      ['A', 'B'],
    ],
    [
      'the order in the document is none',
      [select({ ...tagged('prod'), ...count }, 2), select({ ...tagged('beta'), ...count }, 1)],
      betaProd,
      ['A', 'B'],
    ],
    ['one prefix', [select({ ...tagged('alpha'), ...fiveDays })], alphaBeta, ['A', 'C']],
    ['two prefixes: both must fit', [select({ ...tagged('alpha', 'beta'), ...fiveDays })], alphaBeta, ['C']],
    [
      'any, after a rule for some',
      [select({ ...tagged('alpha'), ...count }), select({ tagStatus: 'any', ...count }, 2)],
      some,
      ['A', 'B', 'C'],
    ],
    ['any', [select({ tagStatus: 'any', ...count })], some, ['A', 'B', 'C']],
    [
      'untagged',
      [select({ tagStatus: 'untagged', countType: 'sinceImagePushed', countUnit: 'days', countNumber: 1 })],
      some,
      ['C'],
    ],
    ['patterns', [select({ tagStatus: 'tagged', tagPatternList: ['*-1', 'p*'], ...fiveDays })], betaProd, ['A']],
    [
      'not pulled',
      [select({ tagStatus: 'any', countType: 'sinceImagePulled', countUnit: 'days', countNumber: 5 })],
      [
        ['A', ['a'], 10, 3],
        ['B', ['b'], 10, 7],
        ['C', ['c'], 10],
        ['D', ['d'], 2],
      ],
      ['B', 'C'],
    ],
  ]
  for (const [name, given, images, expected] of cases)
    it(name, () => {
      const verdicts = plan(images.map(imageOf), [parseRetention({ rules: given }, 'acme/a')], {
        repository: 'acme/a',
        now,
        keepPulledMs: 0,
        kept: new Map(),
      })
      const gone = new Set(verdicts.filter(({ verdict }) => verdict === 'expire').map(({ digest }) => digest))
      assert.deepEqual([...gone], expected)
    })

  it('leave an image whole of which a tag is kept', () => {
    const document = { rules: [select({ ...tagged('prod'), ...fiveDays })] }
    assert.deepEqual(expired(document, betaProd, { kept: [['beta-1', 'locked']] }), ['beta-2', 'prod-2'])
  })

  for (const [given, message] of [
    [[select({ tagStatus: 'any', ...count }), select({ tagStatus: 'untagged', ...count }, 2)], /must have the highest/],
    [[select({ ...tagged('a'), ...count }), select({ ...tagged('b'), ...count })], /two have the rulePriority 1/],
    [[select({ tagStatus: 'tagged', ...count })], /one of tagPrefixList and tagPatternList/],
    [[select({ tagStatus: 'untagged', tagPrefixList: ['a'], ...count })], /are for tagStatus tagged/],
    [[select({ ...tagged('a'), ...count, countUnit: 'days' })], /countUnit: expected none/],
    [[select({ ...tagged('a'), ...fiveDays, countUnit: 'hours' })], /countUnit: expected days/],
    [[select({ ...tagged('a'), ...count, countNumber: 0 })], /countNumber: expected a whole number/],
    [
      [{ ...select({ ...tagged('a'), ...count }), action: { type: 'transition', targetStorageClass: 'archive' } }],
      /no archive storage class/,
    ],
    [[select({ tagStatus: 'tagged', tagPatternList: ['*a*b*c*d*e'], ...count })], /at most four/],
  ] as const)
    it(`refuse what ${message.source}`, () => {
      assert.throws(() => parseRetention({ rules: given }, '*'), message)
    })
})

describe('versions', () => {
  it('are ordered as section 11 of the specification says', () => {
    const order =
      '1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 v1.0.1 1.2.0 1.10.0 2.0.0'
    const versions = order.split(' ')
    const sorted = versions.toReversed().toSorted((a, b) => compareVersions(parseVersion(a)!, parseVersion(b)!))
    assert.deepEqual(sorted, versions)
    for (const text of ['latest', '1', 'v1.2', '01.0.0', '1.0.0-', '1.0.0-01', '1.0.0_1'])
      assert.equal(parseVersion(text), undefined, text)
  })
})
