import { createHash } from 'node:crypto'
import { setImmediate as breathe } from 'node:timers/promises'
import type { RuleFacts, Retirement } from '../../metadata/rule-facts.ts'
import type { Digest } from '../../oci/digest.ts'
import {
  isPulled,
  planning,
  policiesFor,
  type RetentionPolicy,
  type Situation,
  type Verdict,
} from '../../rules/retention.ts'
import { type Image, readImages } from './state.ts'

/** What retention would do in a repository now. */
export interface Plan {
  /** Stands for the moment it was made for, and for all it was made of. */
  id: string
  repository: string
  at: number
  rules: string[]
  /** Each tag, and each image without one; `frees`: bytes that go with its image and nothing else needs. */
  items: (Verdict & { frees: number })[]
  summary: { keep: number; expire: number; images: number; frees: number }
  retirements: Retirement[]
  /** What belongs to images that go, and goes once those are gone. */
  parts: (Retirement & { of: Digest })[]
}

interface Deps {
  rules: RuleFacts
  keepPulledMs: number
}

const step = 200
/** So long nobody else is served at a time. */
const workMs = 10

/** Makes the plan for a repository as of a moment. */
export async function makePlan(
  { rules, keepPulledMs }: Deps,
  { repository, policies, now }: { repository: string; policies: readonly RetentionPolicy[]; now: number },
): Promise<Plan> {
  const mine = policiesFor(policies, repository)
  const images = mine.length > 0 ? await readImages(rules, repository) : new Map<Digest, Image>()
  const names = [...images.values()].flatMap(({ tags, attachedTags }) => [
    ...tags.map(({ name }) => name),
    ...attachedTags,
  ])
  const situation: Situation = { repository, now, keepPulledMs, kept: await rules.keptTags(repository, names) }
  const verdicts = await withPauses(planning([...images.values()], mine, situation))
  await breathe()
  const going = await withPauses(goingImages(images, verdicts, situation))
  const { frees, total } = await weigh(rules, repository, going)
  await breathe()
  const expiring = verdicts.filter(({ verdict }) => verdict === 'expire')
  const items = verdicts.map((verdict) => ({
    ...verdict,
    frees: verdict.verdict === 'expire' ? (frees.get(verdict.digest as Digest) ?? 0) : 0,
  }))
  return {
    id: await idOf(now, [repository, mine], items, [...images.values()]),
    repository,
    at: now,
    rules: namesOf(mine),
    items,
    summary: {
      keep: verdicts.length - expiring.length,
      expire: expiring.length,
      images: going.size,
      frees: total,
    },
    retirements: [...Map.groupBy(expiring, ({ digest }) => digest as Digest)].map(([digest, on]) => ({
      digest,
      tags: on.flatMap(({ tag }) => tag ?? []),
    })),
    parts: [...going]
      .filter(([digest, { root }]) => digest !== root.digest)
      .map(([digest, { image, root }]) => ({ digest, tags: image.attachedTags, of: root.digest })),
  }
}

const namesOf = (policies: RetentionPolicy[]) =>
  policies.flatMap(({ scope, rules, lifecycle }) => [
    ...rules.map(({ name }) => name),
    ...lifecycle.map(({ priority }) => `lifecycle rule ${priority} of ${scope}`),
  ])

type Going = Map<Digest, { image: Image; root: Image }>

/** The images that go: those that lose all their tags, then what only they hold; `root` is the one it goes with. */
function* goingImages(
  images: Map<Digest, Image>,
  verdicts: Verdict[],
  situation: Situation,
): Generator<undefined, Going> {
  const staying = new Set(verdicts.filter(({ verdict }) => verdict === 'keep').map(({ digest }) => digest))
  const named = new Set(verdicts.map(({ digest }) => digest))
  const held = Map.groupBy(
    [...images.values()].flatMap((image) => [...image.holders].map((holder) => ({ holder, image }))),
    ({ holder }) => holder,
  )
  const going: Going = new Map()
  const add = (image: Image, root: Image) => {
    going.set(image.digest, { image, root })
    todo.push(image)
  }
  const todo: Image[] = []
  for (const image of images.values()) {
    if (named.has(image.digest) && !staying.has(image.digest) && !image.isAttached) add(image, image)
    yield
  }
  for (let holder = todo.shift(); holder; holder = todo.shift()) {
    yield
    for (const { image } of held.get(holder.digest) ?? []) {
      const { digest, holders, attachedTags } = image
      const isKept =
        staying.has(digest) || attachedTags.some((tag) => situation.kept.has(tag)) || isPulled(image, situation)
      if (isKept || going.has(digest) || [...holders].some((one) => !going.has(one))) continue
      add(image, going.get(holder.digest)!.root)
    }
  }
  return going
}

/** Takes steps one after the other, and lets requests come in between. */
async function withPauses<Result>(steps: Generator<undefined, Result>): Promise<Result> {
  for (let begun = performance.now(); ;) {
    const step = steps.next()
    if (step.done) return step.value
    if (performance.now() - begun < workMs) continue
    await breathe()
    begun = performance.now()
  }
}

/** The bytes that go with each image and what belongs to it, and with all of them. */
async function weigh(rules: RuleFacts, repository: string, going: Going) {
  const rootOf = new Map([...going.values()].map(({ image, root }) => [image.id, root.digest]))
  const frees = new Map<Digest, number>()
  const add = (root: Digest, bytes: number) => frees.set(root, (frees.get(root) ?? 0) + bytes)
  const blobs = new Map<Digest, { size: number; holders: number; roots: Digest[] }>()
  let total = 0
  for (const { image, root } of going.values()) {
    add(root.digest, image.size)
    total += image.size
  }
  const ids = [...rootOf.keys()]
  for (let from = 0; from < ids.length; from += step, await breathe())
    for (const { manifestId, digest, size, holders, isElsewhere } of await rules.weigh(
      repository,
      ids.slice(from, from + step),
    )) {
      if (isElsewhere) continue
      const blob = blobs.get(digest) ?? { size, holders, roots: [] }
      blob.roots.push(rootOf.get(manifestId)!)
      blobs.set(digest, blob)
    }
  for (const { size, holders, roots } of blobs.values()) {
    if (roots.length < holders) continue
    total += size
    if (new Set(roots).size === 1) add(roots[0]!, size)
  }
  return { frees, total }
}

/** Changes with whatever the plan was made of. */
async function idOf(
  now: number,
  about: [string, RetentionPolicy[]],
  items: Verdict[],
  images: Image[],
): Promise<string> {
  const digest = createHash('sha256').update(JSON.stringify([now, about]))
  const lines = [
    ...images.map(({ digest, tags, attachedTags, holders }) => [digest, tags, attachedTags, [...holders]]),
    ...items.map(({ tag, digest, verdict, rule }) => [tag, digest, verdict, rule]),
  ]
  for (let from = 0; from < lines.length; from += step, await breathe())
    digest.update(JSON.stringify(lines.slice(from, from + step)))
  return `${now.toString(36)}-${digest.digest('hex').slice(0, 32)}`
}

/** The moment a plan was made for; undefined for what is none. */
export function momentOf(id: string): number | undefined {
  const [, moment] = /^([0-9a-z]{6,10})-[0-9a-f]{32}$/.exec(id) ?? []
  return moment === undefined ? undefined : Number.parseInt(moment, 36)
}
