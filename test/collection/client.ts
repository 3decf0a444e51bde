import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { PassThrough } from 'node:stream'
import { type Algorithm, algorithmOf, type Digest, digestOf } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { Process, World } from './world.ts'
import { actor, Crashed } from './world.ts'

interface Known {
  content: Buffer
  references: Digest[]
  /** Since when it is in the trash. */
  trashedAt?: number | undefined
}

/** What the owner of a repository knows to be there: the oracle. */
export interface Oracle {
  repository: string
  manifests: Map<Digest, Known>
  tags: Map<string, Digest>
  /** Live ones that nothing kept: they may have gone since, or be kept again by a subject that was pushed again. */
  forgotten: Map<Digest, Known>
  /** Blobs that the registry said to have in this round. */
  relied: Set<Digest>
  /** What an operation that was never answered may have changed. */
  unsure: { manifests: Map<Digest, Known>; tags: Set<string> }
}

export function createOracle(repository: string): Oracle {
  return {
    repository,
    manifests: new Map(),
    tags: new Map(),
    forgotten: new Map(),
    relied: new Set(),
    unsure: { manifests: new Map(), tags: new Set() },
  }
}

type Random = () => number
const pick = <T>(items: T[], random: Random): T | undefined => items[Math.floor(random() * items.length)]
const texts = Array.from({ length: 50 }, (_, index) => `layer ${index} ${'x'.repeat(index * 37)}`)
const tagNames = ['v1', 'v2', 'v3', 'latest']

/** One step of the owner of a repository; whatever the registry has promised must hold. */
export async function step(
  oracle: Oracle,
  { process, world, others, random }: { process: Process; world: World; others: string[]; random: Random },
): Promise<void> {
  const { registry, metadata } = process
  const { repository, manifests, tags, relied, unsure } = oracle
  const live = () => [...manifests].filter(([, { trashedAt }]) => trashedAt === undefined)

  /** Time goes so fast here that bytes may be collected while they are committed: then they are pushed again. */
  async function ensureBlob(text: string, algorithm: Algorithm): Promise<Digest> {
    for (;;)
      try {
        return await pushBlob(text, algorithm)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      }
  }

  async function pushBlob(text: string, algorithm: Algorithm): Promise<Digest> {
    const content = Buffer.from(text)
    const digest = digestOf(content, algorithm)
    if (random() < 0.7 && (await isThere(digest))) return digest
    const from = random() < 0.5 ? others : []
    if (!(await registry.blobs.mount(repository, digest, from, actor))) {
      const chunk = { source: Readable.from([content]), length: content.length, range: undefined }
      if (random() < 0.5) await registry.uploads.push(repository, digest, chunk, actor)
      else {
        const upload = await registry.uploads.start(repository, actor, algorithm)
        await registry.uploads.append(upload, chunk)
        const nothing = { source: Readable.from([]), length: 0, range: undefined }
        await registry.uploads.finish(upload, digest, nothing, actor)
      }
    }
    relied.add(digest)
    return digest
  }

  async function isThere(digest: Digest): Promise<boolean> {
    try {
      await registry.blobs.stat(repository, digest)
      relied.add(digest)
      return true
    } catch (error) {
      if (!(error instanceof OciError)) throw error
      assert.ok(!relied.has(digest), `${digest} of ${repository} was promised and is gone`)
      return false
    }
  }

  async function push(content: Buffer, references: Digest[]): Promise<Digest> {
    const digest = digestOf(content)
    const names = random() < 0.6 ? [pick(tagNames, random)!] : []
    unsure.manifests.set(digest, { content, references })
    for (const name of names) unsure.tags.add(name)
    await registry.manifests.push(
      { repository, content, contentType: undefined, digest: undefined, tags: names },
      actor,
      async () => {},
    )
    manifests.set(digest, { content, references })
    for (const name of names) tags.set(name, digest)
    return digest
  }

  async function pushImage(): Promise<void> {
    const algorithm = () => (random() < 0.2 ? 'sha512' : 'sha256')
    const layers = []
    for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
      const text = pick(texts, random)!
      layers.push({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: await ensureBlob(text, algorithm()),
        size: text.length,
      })
    }
    const config = { mediaType: mediaTypes.image, digest: await ensureBlob('{}', 'sha256'), size: 2 }
    const subject = random() < 0.3 ? pick(live(), random) : undefined
    const about = subject && { mediaType: mediaTypes.image, digest: subject[0], size: subject[1].content.length }
    const annotations = { place: `${repository} ${Math.floor(random() * 8)}` }
    const document = {
      schemaVersion: 2,
      mediaType: mediaTypes.image,
      config,
      layers,
      annotations,
      ...(about && { subject: about }),
    }
    await push(
      Buffer.from(JSON.stringify(document)),
      [...layers, config].map(({ digest }) => digest),
    )
  }

  async function pushIndex(): Promise<void> {
    const children = [pick(live(), random), pick(live(), random)].filter((child) => child !== undefined)
    const list = children.map(([digest, { content }]) => ({
      mediaType: mediaTypes.image,
      digest,
      size: content.length,
    }))
    const document = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: list }
    await push(Buffer.from(JSON.stringify(document)), [])
  }

  async function deleteManifest(): Promise<void> {
    const [digest, known] = pick(live(), random) ?? []
    if (!digest || !known) return
    unsure.manifests.set(digest, known)
    for (const [name, own] of tags) if (own === digest) unsure.tags.add(name)
    await registry.manifests.remove(repository, { digest }, actor)
    known.trashedAt = world.now()
    for (const [name, own] of tags) if (own === digest) tags.delete(name)
  }

  async function deleteTag(): Promise<void> {
    const tag = pick([...tags.keys()], random)
    if (tag === undefined) return
    unsure.tags.add(tag)
    await registry.manifests.remove(repository, { tag }, actor)
    tags.delete(tag)
  }

  async function restore(): Promise<void> {
    const [digest, known] =
      pick(
        [...manifests].filter(([, { trashedAt }]) => trashedAt !== undefined),
        random,
      ) ?? []
    if (!digest || !known || !JSON.parse(String(known.content)).config) return // the children of an index may be gone
    unsure.manifests.set(digest, known)
    const kept = await metadata.history.trashed(repository, digest)
    assert.ok(kept, `${digest} of ${repository} is gone from the trash`)
    await push(kept.content, known.references)
  }

  async function deleteBlob(): Promise<void> {
    const needed = new Set(
      [...manifests.values(), ...unsure.manifests.values()].flatMap(({ references }) => references),
    )
    const digest = pick(
      [...relied].filter((one) => !needed.has(one)),
      random,
    )
    if (!digest) return
    relied.delete(digest)
    await registry.blobs.remove(repository, digest, actor)
  }

  const operations: [weight: number, operation: () => Promise<unknown>][] = [
    [6, pushImage],
    [2, pushIndex],
    [3, deleteManifest],
    [2, deleteTag],
    [1, restore],
    [2, deleteBlob],
    [2, () => ensureBlob(pick(texts, random)!, 'sha256')],
    [1, () => registry.uploads.start(repository, actor, 'sha256')],
  ]
  let left = random() * operations.reduce((sum, [weight]) => sum + weight, 0)
  const [, operation] = operations.find(([weight]) => (left -= weight) < 0)!
  try {
    await operation()
    unsure.manifests.clear()
    unsure.tags.clear()
  } catch (error) {
    if (!(error instanceof Crashed)) throw error
  }
}

/** After a crash: what was never answered is as the store says, and nothing else may have changed. */
export async function settle(oracle: Oracle, { store }: World): Promise<void> {
  const { repository, manifests, tags, unsure } = oracle
  for (const [digest, known] of unsure.manifests) {
    const found = await store.manifests.find(repository, { digest })
    const trashed = (await store.history.trash(repository, { limit: 10_000 })).find((one) => one.digest === digest)
    if (found) manifests.set(digest, { ...known, trashedAt: undefined })
    else if (trashed) manifests.set(digest, { ...known, trashedAt: trashed.at.getTime() })
    else manifests.delete(digest)
  }
  for (const name of unsure.tags) {
    const found = await store.manifests.find(repository, { tag: name })
    if (found) tags.set(name, found.digest)
    else tags.delete(name)
  }
  unsure.manifests.clear()
  unsure.tags.clear()
}

/** What a tag, an index or a subject keeps. */
export function reachable({ manifests, tags }: Oracle): Set<Digest> {
  const kept = new Set<Digest>()
  const live = [...manifests].filter(([, { trashedAt }]) => trashedAt === undefined)
  const said = new Map(live.map(([digest, { content }]) => [digest, JSON.parse(String(content))]))
  const keep = (digest: Digest) => {
    if (kept.has(digest) || !said.has(digest)) return
    kept.add(digest)
    for (const child of said.get(digest).manifests ?? []) keep(child.digest)
    for (const [referrer, { subject }] of said) if (subject?.digest === digest) keep(referrer)
  }
  for (const digest of tags.values()) keep(digest)
  return kept
}

/** Remembers those forgotten ones that the store has and that something keeps again. */
export async function recall(oracle: Oracle, { store }: World): Promise<void> {
  const { repository, manifests, forgotten } = oracle
  for (const digest of reachable({ ...oracle, manifests: new Map([...forgotten, ...manifests]) }))
    if (!manifests.has(digest) && (await store.manifests.find(repository, { digest })))
      manifests.set(digest, forgotten.get(digest)!)
}

/** Everything that was promised is there, byte for byte. */
export async function verify(oracle: Oracle, { registry }: Process, { store }: World): Promise<void> {
  const { repository, manifests, tags } = oracle
  for (const [name, digest] of tags)
    assert.equal((await registry.manifests.get(repository, { tag: name })).digest, digest, `${repository}:${name}`)
  for (const [digest, { content, references, trashedAt }] of manifests) {
    const found =
      trashedAt === undefined
        ? await registry.manifests.get(repository, { digest })
        : await store.history.trashed(repository, digest)
    assert.deepEqual(found?.content, content, `${digest} of ${repository}, in the trash since ${trashedAt}`)
    for (const reference of references) await read(reference)
  }

  async function read(digest: Digest): Promise<void> {
    const content = await registry.blobs.open(repository, digest)
    const stream = new PassThrough()
    const bytes = buffer(stream)
    await content.sendTo(stream, { first: 0, last: content.size - 1 })
    stream.end()
    assert.equal(digestOf(await bytes, algorithmOf(digest)), digest)
    await content.close()
  }
}
