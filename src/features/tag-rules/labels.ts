import { algorithmOf, type Digest, digestOf, isDigest } from '../../oci/digest.ts'
import { manifestKindOf } from '../../oci/media-types.ts'
import { blobPath } from '../../registry/paths.ts'
import { byLabel } from '../../metadata/rule-facts.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import { parseSpan } from '../../rules/span.ts'
import type { Platform } from '../feature.ts'

const label = 'quay.expires-after'
const step = 200
const maxConfig = 1 << 20

type Deps = Pick<Platform, 'metadata' | 'storage' | 'rules' | 'log'>

/** Looks at what was pushed with a tag since: where its config says so by a label, the tag goes by itself so long after the push. */
export async function readLabels(
  deps: Deps,
  { cursor, from }: { cursor: string; from: number },
  signal: AbortSignal,
): Promise<void> {
  const { metadata } = deps
  const spans = new Map<Digest, number | undefined>()
  for (let read = from; !signal.aborted;) {
    const events = await metadata.events.after(read, step)
    for (const event of events) await readOne(deps, event, spans)
    read = events.at(-1)?.sequence ?? (await metadata.events.last())
    await metadata.cursors.set(cursor, read)
    if (events.length < step) return
  }
}

async function readOne(
  { metadata, storage, rules, log }: Deps,
  event: RegistryEvent,
  spans: Map<Digest, number | undefined>,
) {
  if (event.type !== 'manifest.pushed' || event.tags.length === 0) return
  if (manifestKindOf(event.mediaType) !== 'image') return // of an index its children's labels do not count
  const { repository, digest, tags, at } = event
  const config = configOf((await metadata.manifests.find(repository, { digest }))?.content)
  if (!config) return
  if (!spans.has(config)) {
    const { size } = (await metadata.blobs.findAnywhere(config)) ?? { size: maxConfig + 1 }
    spans.set(config, size > maxConfig ? undefined : spanOf(await storage.get(blobPath(config)), config))
  }
  const span = spans.get(config)
  if (span === undefined) return
  const expiry = { at: Date.parse(at) + span, by: byLabel, digest }
  for (const tag of tags)
    if (await rules.setExpiry(repository, tag, expiry))
      log.debug('tag.expires', { repository, tag, at: new Date(expiry.at).toISOString(), label })
}

function configOf(content: Buffer | undefined): Digest | undefined {
  const { digest } = fieldOf(parse(content), 'config')
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined
}

/** The span of the label; undefined without one, or where it is none. */
function spanOf(content: Buffer | undefined, digest: Digest): number | undefined {
  if (!content || digestOf(content, algorithmOf(digest)) !== digest) return undefined
  const value = fieldOf(fieldOf(parse(content), 'config'), 'Labels')[label]
  return typeof value === 'string' ? parseSpan(value) : undefined
}

function parse(content: Buffer | undefined): Record<string, unknown> {
  try {
    return fieldOf({ value: JSON.parse(String(content)) as unknown }, 'value')
  } catch {
    return {}
  }
}

function fieldOf(value: Record<string, unknown>, field: string): Record<string, unknown> {
  const found = Object.hasOwn(value, field) ? value[field] : undefined
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
}
