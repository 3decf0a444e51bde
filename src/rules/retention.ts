import { matchesPattern } from '../identity/pattern.ts'
import { evaluateLifecycle, type LifecycleRule } from './lifecycle.ts'
import { compilePatterns } from './patterns.ts'
import { compareVersions, parseVersion, type Version } from './semver.ts'

/** What is kept, or goes, of the tags (or untagged images) it selects: those for which all its conditions hold. Spans are milliseconds. */
export interface RetentionRule {
  name: string
  action: 'keep' | 'expire'
  repositories: string
  /** Of several rules that agree the lowest is named. */
  priority: number
  /** Patterns of tags; undefined: images without a tag. */
  tags: string[] | undefined
  exclude: string[]
  /** Patterns of platforms, of which the image has one; undefined: any, also images without one, and indexes. */
  platforms: string[] | undefined
  /** By what `newest` and `beyondNewest` count; by version only tags that are versions. */
  by: 'push' | 'version'
  newest: number | undefined
  beyondNewest: number | undefined
  pushedWithin: number | undefined
  olderThan: number | undefined
  pulledWithin: number | undefined
  notPulledFor: number | undefined
}

/** The rules of one document, for the repositories of its scope. */
export interface RetentionPolicy {
  scope: string
  rules: RetentionRule[]
  /** One of Amazon's instead. */
  lifecycle: LifecycleRule[]
}

/** An image with its tags. Moments are milliseconds. */
export interface ImageState {
  digest: string
  tags: { name: string; movedAt: number }[]
  pushedAt: number
  pulledAt: number | undefined
  /** linux/arm64/v8; empty where it has none, as an index or a signature; undefined: nobody has looked yet. */
  platform: string | undefined
  /** An index or a subject holds it: it goes with that. */
  isAttached: boolean
}

/** What shall become of a tag, or of an image without one, and by which rule. */
export interface Verdict {
  tag: string | undefined
  digest: string
  verdict: 'keep' | 'expire'
  rule: string | undefined
  why: string
}

export interface Situation {
  repository: string
  now: number
  /** What was pulled so short a time ago stays; 0: that does not count. */
  keepPulledMs: number
  /** Tags that may not be deleted, and why. */
  kept: ReadonlyMap<string, string>
}

interface Candidate {
  image: ImageState
  tag: string | undefined
  pushedAt: number
  version: Version | undefined
}

interface Finding {
  rule: RetentionRule
  why: string
}

/** The policies that are about a repository. */
export function policiesFor(policies: readonly RetentionPolicy[], repository: string): RetentionPolicy[] {
  return policies
    .filter(({ scope }) => matchesPattern(scope, repository))
    .map((policy) => ({
      ...policy,
      rules: policy.rules.filter(({ repositories }) => matchesPattern(repositories, repository)),
    }))
    .filter(({ rules, lifecycle }) => rules.length + lifecycle.length > 0)
}

/**
 * What the policies make of a repository's images. Keeping wins, whatever the order of the rules; what no rule is about stays. Images
 * that an index or a subject holds are no matter of their own.
 */
export function plan(...given: Parameters<typeof planning>): Verdict[] {
  const steps = planning(...given)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** The same in small steps, between which others may work: a repository can have very many tags. */
export function* planning(
  images: ImageState[],
  policies: readonly RetentionPolicy[],
  situation: Situation,
): Generator<undefined, Verdict[]> {
  const { now, repository } = situation
  const candidates: Candidate[] = []
  for (const image of images) {
    candidates.push(...candidatesOf(image))
    yield
  }
  const mine = policiesFor(policies, repository)
  const rules = mine.flatMap((policy) => policy.rules).toSorted(byPriority)
  const [keeping, expiring] = [new Map<Candidate, Finding>(), new Map<Candidate, Finding>()]
  for (const rule of rules) {
    const found = rule.action === 'keep' ? keeping : expiring
    for (const [candidate, why] of yield* apply(rule, candidates, now))
      if (!found.has(candidate)) found.set(candidate, { rule, why })
  }
  const whole = yield* wholeImages(
    mine,
    images.filter((image) => image.tags.length > 0 || !image.isAttached),
    now,
  )

  const judge = (candidate: Candidate): Verdict => {
    const { image, tag } = candidate
    const item = { tag, digest: image.digest }
    const keep = keeping.get(candidate)
    const lifecycle = whole.get(image.digest)
    const expire = expiring.get(candidate)
    if (keep) return { ...item, verdict: 'keep', rule: keep.rule.name, why: keep.why }
    const rule = expire?.rule.name ?? lifecycle?.name
    if (rule === undefined) return { ...item, verdict: 'keep', rule: undefined, why: 'no rule lets it go' }
    const reason = tag === undefined ? undefined : situation.kept.get(tag)
    if (reason !== undefined) return { ...item, verdict: 'keep', rule: undefined, why: reason }
    if (isPulled(image, situation)) return { ...item, verdict: 'keep', rule: undefined, why: 'it was pulled lately' }
    return { ...item, verdict: 'expire', rule, why: expire?.why ?? lifecycle!.why }
  }
  const verdicts: Verdict[] = []
  for (const candidate of candidates) {
    verdicts.push(judge(candidate))
    yield
  }
  return keepWhole(verdicts, candidates, { expiring, whole })
}

const byPriority = (a: RetentionRule, b: RetentionRule) => a.priority - b.priority || (a.name < b.name ? -1 : 1)

/** Whether it was pulled so lately that it stays. */
export function isPulled({ pulledAt }: Pick<ImageState, 'pulledAt'>, { now, keepPulledMs }: Situation): boolean {
  return pulledAt !== undefined && keepPulledMs > 0 && now - pulledAt < keepPulledMs
}

function candidatesOf(image: ImageState): Candidate[] {
  if (image.tags.length === 0)
    return image.isAttached ? [] : [{ image, tag: undefined, pushedAt: image.pushedAt, version: undefined }]
  return image.tags.map(({ name, movedAt }) => ({ image, tag: name, pushedAt: movedAt, version: parseVersion(name) }))
}

/** The candidates the rule is about and for which its conditions hold, with the conditions in words. */
function* apply(
  rule: RetentionRule,
  candidates: Candidate[],
  now: number,
): Generator<undefined, [Candidate, string][]> {
  const fits = rule.tags && compilePatterns(rule.tags)
  const isExcluded = compilePatterns(rule.exclude)
  const isFor = rule.platforms && compilePatterns(rule.platforms)
  const selected = []
  for (const candidate of candidates) {
    const { tag, version } = candidate
    if (fits ? tag !== undefined && fits(tag) && !isExcluded(tag) : tag === undefined)
      if (rule.by === 'push' || version !== undefined) selected.push(candidate)
    yield
  }
  selected.sort(rule.by === 'push' ? latestFirst : highestFirst)
  yield
  const why = conditionsOf(rule)
  const known = selected.filter(({ image: { platform } }) => !isFor || (platform && isFor(platform)))
  const found = known.filter((candidate, rank) => holds(rule, candidate, rank, now))
  // What it is for may turn out to be what is kept, whatever is counted.
  const unknown = isFor && rule.action === 'keep' ? selected.filter(({ image }) => image.platform === undefined) : []
  const kept = unknown.filter((candidate) => holds({ ...rule, beyondNewest: undefined }, candidate, 0, now))
  return [
    ...found.map((candidate): [Candidate, string] => [candidate, why]),
    ...kept.map((candidate): [Candidate, string] => [
      candidate,
      `${why}, if it is for that platform: that is not known yet`,
    ]),
  ]
}

const latestFirst = (a: Candidate, b: Candidate) => b.pushedAt - a.pushedAt || compareNames(a, b)
const highestFirst = (a: Candidate, b: Candidate) => compareVersions(b.version!, a.version!) || latestFirst(a, b)
const nameOf = ({ tag, image }: Candidate) => tag ?? image.digest
const compareNames = (a: Candidate, b: Candidate) => (nameOf(a) < nameOf(b) ? -1 : 1)

function holds(rule: RetentionRule, { image, pushedAt }: Candidate, rank: number, now: number): boolean {
  const { newest, beyondNewest, pushedWithin, olderThan, pulledWithin, notPulledFor } = rule
  if (newest !== undefined && rank >= newest) return false
  if (beyondNewest !== undefined && rank < beyondNewest) return false
  if (pushedWithin !== undefined && now - pushedAt > pushedWithin) return false
  if (olderThan !== undefined && now - pushedAt <= olderThan) return false
  if (pulledWithin !== undefined && (image.pulledAt === undefined || now - image.pulledAt > pulledWithin)) return false
  return notPulledFor === undefined || now - Math.max(pushedAt, image.pulledAt ?? 0) > notPulledFor
}

/** The conditions of a rule in words. */
function conditionsOf(rule: RetentionRule): string {
  const { newest, beyondNewest, pushedWithin, olderThan, pulledWithin, notPulledFor, by, platforms } = rule
  const order = by === 'push' ? '' : ' by version'
  const words = [
    platforms !== undefined && `for ${platforms.join(', ')}`,
    newest !== undefined && `among the newest ${newest}${order}`,
    beyondNewest !== undefined && `beyond the newest ${beyondNewest}${order}`,
    pushedWithin !== undefined && `pushed within ${spanText(pushedWithin)}`,
    olderThan !== undefined && `older than ${spanText(olderThan)}`,
    pulledWithin !== undefined && `pulled within ${spanText(pulledWithin)}`,
    notPulledFor !== undefined && `not pulled for ${spanText(notPulledFor)}`,
  ].filter((word) => word !== false)
  return words.join(', ') || (rule.tags ? `fits ${rule.tags.join(', ')}` : 'without a tag')
}

function spanText(ms: number): string {
  const [unit, size] = (
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
    ] as const
  ).find(([, size]) => ms % size === 0) ?? ['s', 1000]
  return `${ms / size}${unit}`
}

/** What Amazon's policies expire: images as a whole. */
function* wholeImages(
  policies: RetentionPolicy[],
  images: ImageState[],
  now: number,
): Generator<undefined, Map<string, { name: string; why: string }>> {
  const found = new Map<string, { name: string; why: string }>()
  for (const { lifecycle, scope } of policies)
    for (const [digest, rule] of yield* evaluateLifecycle(lifecycle, images, now)) {
      const { priority, description, countType, countNumber } = rule
      const name = `lifecycle rule ${priority} of ${scope}`
      const why = `${countType} ${countNumber}${description && `: ${description}`}`
      if (!found.has(digest)) found.set(digest, { name, why })
    }
  return found
}

/** An image that was to go as a whole stays as a whole when one of its tags does. */
function keepWhole(
  verdicts: Verdict[],
  candidates: Candidate[],
  { expiring, whole }: { expiring: Map<Candidate, Finding>; whole: ReadonlyMap<string, unknown> },
): Verdict[] {
  const staying = new Set(verdicts.filter(({ verdict }) => verdict === 'keep').map(({ digest }) => digest))
  return verdicts.map((verdict, index) => {
    const { digest } = verdict
    if (verdict.verdict === 'keep' || !whole.has(digest) || expiring.has(candidates[index]!) || !staying.has(digest))
      return verdict
    return { ...verdict, verdict: 'keep', rule: undefined, why: 'another tag keeps the image' }
  })
}
