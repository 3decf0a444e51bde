import type { Digest } from '../../oci/digest.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { MetadataStore, StoredManifest } from '../../registry/ports/metadata.ts'
import type { ImmutabilityRule } from '../../rules/immutability.ts'
import type { QuotaRule } from '../../rules/quotas.ts'
import { createByteCache } from '../byte-cache.ts'
import { createCommands, type Run } from '../sql/commands.ts'
import { createReads, manifestOf } from '../sql/reads.ts'
import type { Steps } from '../sql/statement.ts'
import { createSqlStore, type SqlStore } from '../sql/store.ts'
import { createConnections } from './connections.ts'
import { dialect } from './dialect.ts'
import { createHearing } from './hearing.ts'
import { openDatabase } from './open.ts'

interface PostgresOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE` */
  url: string
  clock: { now(): Date }
  /** Told about events of this node right after their commit; what must not be missed is read from the log instead. */
  onEvents?: (events: RegistryEvent[]) => void
  /** The time by which all nodes go, in milliseconds, and what of it passes here whoever sets this clock; for tests. */
  time?: { ofDatabase(): Promise<number>; passing(): number }
  /** Told when this node's clock and the database's differ by more than a minute: by how many milliseconds ours is ahead. */
  onSkew?: ((ms: number) => void) | undefined
  /** Told how long each transaction took, from its commands to its being on the disk. */
  onCommit?: ((seconds: number) => void) | undefined
  /** The rules of the configuration for tags that do not change. */
  immutability?: readonly ImmutabilityRule[]
  /** The quotas of the configuration. */
  limits?: readonly QuotaRule[]
}

const mostSkewMs = 60_000
const manifestCacheBytes = 16 << 20
const tagCacheBytes = 4 << 20

/**
 * Facts in PostgreSQL, which other nodes write as well: nothing is taken from memory unless the query just said that it still
 * holds. What one writer thread excludes in SQLite locks exclude here (`dialect.ts`).
 * @throws Error in one line when the server or the database will not do
 */
export async function createPostgresStore(options: PostgresOptions): Promise<SqlStore> {
  const { url, clock, onEvents = () => undefined, onCommit, onSkew } = options
  const opening = createConnections(url, 'upkeep')
  await openDatabase(opening, url, 'migrate').finally(opening.close)
  const connections = createConnections(url, 'serving')
  const time = options.time ?? { ofDatabase: () => timeAt(connections), passing: () => performance.now() }
  const [begun, passed] = [await time.ofDatabase(), time.passing()] // the first connection, which stays
  const ahead = clock.now().getTime() - begun
  if (Math.abs(ahead) > mostSkewMs) onSkew?.(ahead)
  const hearing = createHearing(connections, onEvents)
  const reads = createReads(dialect)
  const commands = createCommands(dialect) as unknown as Record<string, (...args: unknown[]) => Steps<unknown>>

  async function run(name: string, ...args: unknown[]): Promise<unknown> {
    const begun = performance.now()
    const { value, events } = await connections.transact(() => commands[name]!(...args))
    onCommit?.((performance.now() - begun) / 1000)
    hearing.tell(events)
    return value
  }

  return createSqlStore({
    textsOf: dialect.textsOf,
    reads,
    read: connections.read,
    run: run as Run,
    clock,
    // All nodes go by the database's clock where one waits for the end of what another said.
    leaseNow: () => Math.round(begun + time.passing() - passed),
    immutability: options.immutability,
    limits: options.limits,
    findManifest: createFindManifest(connections.read, reads),
    forget: () => {}, // nothing is believed without asking
    async close() {
      hearing.close()
      await connections.close()
    },
  })
}

async function timeAt({ withConnection }: ReturnType<typeof createConnections>): Promise<number> {
  const text = 'select extract(epoch from clock_timestamp()) * 1000 as now'
  return Number((await withConnection((client) => client.query(text))).rows[0].now)
}

/**
 * Manifests by one query each, which always says whether the repository has it, where the tag points and of what type it is.
 * Only the bytes, which a digest names for ever, are kept here and then not asked for.
 */
function createFindManifest(
  read: <Result>(steps: Steps<Result>) => Promise<Result>,
  reads: ReturnType<typeof createReads>,
): MetadataStore['manifests']['find'] {
  const manifests = createByteCache<StoredManifest>(manifestCacheBytes)
  const lastDigests = createByteCache<Digest>(tagCacheBytes)

  return async (repository, reference) => {
    const tag = 'tag' in reference ? `${repository}:${reference.tag}` : undefined
    const likely = 'tag' in reference ? lastDigests.get(tag!) : reference.digest
    const kept = likely && manifests.get(likely)
    const row = await read(reads.manifest(repository, reference, kept?.digest ?? ''))
    if (!row) return undefined
    if (kept && row.content === null && row.media_type === kept.mediaType) return kept
    const content = row.content === null ? kept!.content : row.content
    const manifest = manifestOf({ ...row, content }, repository)
    manifests.set(manifest.digest, manifest, manifest.content.length + 500)
    if (tag !== undefined) lastDigests.set(tag, manifest.digest, 500)
    return manifest
  }
}
