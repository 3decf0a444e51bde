import { setImmediate as breathe } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { manifestKindOf } from '../../oci/media-types.ts'
import type { ImageFact, RuleFacts, TagFact } from '../../metadata/rule-facts.ts'
import type { ImageState } from '../../rules/retention.ts'

/** An image of a repository and what it hangs together with. */
export interface Image extends ImageState {
  id: number
  digest: Digest
  size: number
  /** Indexes that hold it, its subject, and of a tag of a signature the image it signs; only those that are there. */
  holders: Set<Digest>
  /** Tags by which clients find what belongs to its holder: no tags of its own. */
  attachedTags: string[]
}

const step = 500
/** What clients keep beside an image under a tag with its digest: signatures and lists of referrers. */
const attachedTag = /^(sha256|sha512)-([0-9a-f]{64,128})(?:\.(?:sig|att|sbom))?$/

/** Reads what a repository holds. */
export async function readImages(rules: RuleFacts, repository: string): Promise<Map<Digest, Image>> {
  const facts: ImageFact[] = []
  for (let after = ''; ; await breathe()) {
    const found = await rules.images(repository, after, step)
    facts.push(...found)
    if (found.length < step) break
    after = found.at(-1)!.digest
  }
  const images = new Map<Digest, Image>()
  const indexes = new Map<number, Image>()
  // As they were pushed, which is what somebody expects who reads the plan.
  for (const fact of facts.toSorted((one, other) => one.id - other.id)) {
    const image = imageOf(fact)
    images.set(fact.digest, image)
    if (manifestKindOf(fact.mediaType) === 'index') indexes.set(fact.id, image)
  }
  const ids = [...indexes.keys()]
  for (let from = 0; from < ids.length; from += step, await breathe())
    for (const { parent, child } of await rules.children(repository, ids.slice(from, from + step)))
      images.get(child)?.holders.add(indexes.get(parent)!.digest)
  for (let after = ''; ; await breathe()) {
    const found = await rules.tags(repository, after, step)
    for (const tag of found) addTag(images, tag)
    if (found.length < step) break
    after = found.at(-1)!.name
  }
  for (const image of images.values()) {
    for (const holder of image.holders) if (!images.has(holder)) image.holders.delete(holder)
    image.isAttached = image.holders.size > 0
  }
  return images
}

function addTag(images: Map<Digest, Image>, { name, digest, movedAt }: TagFact): void {
  const image = images.get(digest)
  const [, algorithm, hex] = attachedTag.exec(name) ?? []
  const holder = `${algorithm}:${hex}` as Digest
  if (hex === undefined || !images.has(holder) || holder === digest) return void image?.tags.push({ name, movedAt })
  image?.attachedTags.push(name)
  image?.holders.add(holder)
}

function imageOf({ id, digest, subject, size, pushedAt, pulledAt, platform }: ImageFact): Image {
  const holders = new Set(subject ? [subject] : [])
  return { id, digest, size, pushedAt, pulledAt, platform, tags: [], attachedTags: [], holders, isAttached: false }
}
