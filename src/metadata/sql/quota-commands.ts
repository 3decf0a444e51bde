import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import type { PushOutcome } from '../../registry/ports/metadata.ts'
import { type QuotaRule, scopesOf } from '../../rules/quotas.ts'
import { type Quota, refusalOf } from '../quota-facts.ts'
import type { Act } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { type Row, sql, type Steps } from './statement.ts'

/** What a push brings: blobs and the manifest with their sizes. */
type Charges = Map<Digest, number>

interface Wanted {
  quota: Quota
  /** What is new to it. */
  added: [Digest, number][]
  needed: number
}

/** An organization's quota is about the repository of its name as well. */
const inScope = `(repository.name = ?1 or substr(repository.name, 1, length(?1) + 1) = ?1 || '/')`

/** What a scope holds, each blob once. */
const held = `
  select digest, max(size) as size from (
    select reference.digest as digest, size from repository cross join reference cross join blob
      where ${inScope} and reference.repository_id = repository.id and blob.digest = reference.digest
    union select digest, length(content) as size from repository cross join manifest
      where ${inScope} and repository_id = repository.id) as part
  group by digest`

/** The commands of quotas, and the steps of other commands that charge them. */
export function createQuotaCommands(
  { lock, textsOf }: Dialect,
  record: (act: Act, happenings: Happening[]) => Steps<void>,
) {
  /**
   * The quotas on a repository, which nobody else changes until the transaction ends; taken after its other locks. Those of the
   * configuration that are not there yet, because nothing of their scope was, begin here.
   */
  function* on(repository: string, limits: readonly QuotaRule[] = []): Steps<Quota[]> {
    const scopes = scopesOf(repository)
    yield* lock({ alone: scopes.map(lockOf) })
    const text = `select * from quota where scope in (select value from ${textsOf('?1')}) order by scope`
    const found = (yield sql(text, scopes)).map(quotaOf)
    const lacking = limits.filter((limit) => !found.some(({ scope }) => scope === limit.scope))
    if (lacking.length === 0) return found
    for (const limit of lacking) yield* begin({ ...limit, isConfigured: true })
    return (yield sql(text, scopes)).map(quotaOf)
  }

  /** Sets a quota and counts what its scope holds, repository by repository: SQLite keeps the order of a cross join. */
  function* begin({ scope, limit, soft, isConfigured }: Omit<Quota, 'used'>): Steps<void> {
    yield sql('delete from quota_blob where scope = ?1', scope)
    yield sql(
      `insert into quota_blob (scope, digest, size) select cast(?1 as text), digest, size from (${held}) as held`,
      scope,
    )
    yield sql(
      `insert into quota (scope, bytes, soft, is_configured, used)
       select cast(?1 as text), cast(?2 as bigint), cast(?3 as bigint), cast(?4 as bigint), coalesce(sum(size), 0)
         from quota_blob where scope = ?1
       on conflict (scope) do update set
         bytes = excluded.bytes, soft = excluded.soft, used = excluded.used, is_configured = excluded.is_configured`,
      ...[scope, limit, soft, isConfigured ? 1 : 0],
    )
  }

  /** What of it the scope does not hold yet. */
  function* news({ scope }: Quota, charges: Charges): Steps<[Digest, number][]> {
    const text = `select digest from quota_blob where scope = ?1 and digest in (select value from ${textsOf('?2')})`
    const known = new Set((yield sql(text, scope, [...charges.keys()])).map(({ digest }) => digest))
    return [...charges].filter(([digest]) => !known.has(digest))
  }

  /** Charges a push, or says which quota it does not fit. Writes nothing before `record`, as other commands do. */
  function* charging(
    repository: string,
    charges: Charges,
    limits: readonly QuotaRule[],
  ): Steps<{ refused: PushOutcome } | { refused?: undefined; near: Happening[]; charge: () => Steps<void> }> {
    const wanted: Wanted[] = []
    for (const quota of yield* on(repository, limits)) {
      const added = yield* news(quota, charges)
      const needed = added.reduce((sum, [, size]) => sum + size, 0)
      if (needed > 0 && quota.used + needed > quota.limit)
        return { refused: { outcome: 'refused', ...refusalOf(quota, needed, 'this image') } }
      wanted.push({ quota, added, needed })
    }
    return {
      near: wanted
        .filter(({ quota, needed }) => !isNear(quota) && isNear({ ...quota, used: quota.used + needed }))
        .map(({ quota, needed }) => nearing({ ...quota, used: quota.used + needed })),
      *charge() {
        for (const one of wanted) yield* add(one)
      },
    }
  }

  function* add({ quota: { scope }, added, needed }: Wanted): Steps<void> {
    for (const [digest, size] of added)
      yield sql('insert into quota_blob (scope, digest, size) values (?1, ?2, ?3)', scope, digest, size)
    if (needed > 0) yield sql('update quota set used = used + ?2 where scope = ?1', scope, needed)
  }

  /** Charges what is there already, whether it fits or not: what another registry left in the volume. */
  function* take(repository: string, charges: () => Steps<Charges>): Steps<void> {
    if (!(yield* areThere())) return
    const held = yield* charges()
    for (const quota of yield* on(repository)) {
      const added = yield* news(quota, held)
      yield* add({ quota, added, needed: added.reduce((sum, [, size]) => sum + size, 0) })
    }
  }

  /** Gives back what the repository has lost, where nothing else of the scope holds it. */
  function* release(repository: string, digests: Digest[]): Steps<void> {
    if (digests.length === 0 || !(yield* areThere())) return
    for (const { scope } of yield* on(repository)) {
      const freed = yield sql(
        `delete from quota_blob where scope = ?1 and digest in (select value from ${textsOf('?2')})
           and not exists (select 1 from blob_link join repository on repository.id = repository_id
             where blob_link.digest = quota_blob.digest and ${inScope})
           and not exists (select 1 from manifest join repository on repository.id = repository_id
             where manifest.digest = quota_blob.digest and ${inScope}) returning size`,
        ...[scope, digests],
      )
      const bytes = freed.reduce((sum, { size }) => sum + Number(size), 0)
      if (bytes > 0) yield sql('update quota set used = used - ?2 where scope = ?1', scope, bytes)
    }
  }

  return {
    charging,
    release,
    take,
    commands: {
      *setQuota(quota: Omit<Quota, 'used'>, act: Act): Steps<void> {
        yield* lock({ alone: [lockOf(quota.scope)] })
        const [row] = yield sql('select * from quota where scope = ?1', quota.scope)
        const [sum] = yield sql(`select coalesce(sum(size), 0) as used from (${held}) as held`, quota.scope)
        const now = { ...quota, used: Number(sum?.used ?? 0) }
        if (stageOf(now) > (row ? stageOf(quotaOf(row)) : 0)) yield* record(act, [nearing(now)])
        yield* begin(quota)
      },
      *removeQuota(scope: string): Steps<boolean> {
        yield* lock({ alone: [lockOf(scope)] })
        yield sql('delete from quota_blob where scope = ?1', scope)
        return (yield sql('delete from quota where scope = ?1 returning scope', scope)).length > 0
      },
    },
  }
}

function* areThere(): Steps<boolean> {
  return (yield sql('select 1 from quota limit 1')).length > 0
}

const lockOf = (scope: string) => `quota ${scope}`

export function quotaOf({ scope, bytes, soft, used, is_configured }: Row): Quota {
  const isConfigured = Number(is_configured) === 1
  return { scope: String(scope), limit: Number(bytes), soft: Number(soft), used: Number(used), isConfigured }
}

const isNear = ({ used, limit, soft }: Quota) => used >= (limit * soft) / 100

/** 0 while there is room, 1 from the soft limit on, 2 when it is exceeded: each is told once. */
const stageOf = (quota: Quota) => (quota.used > quota.limit ? 2 : isNear(quota) ? 1 : 0)

/** What tells that the soft limit was crossed. */
const nearing = ({ scope, used, limit, soft }: Quota): Happening => {
  return { type: 'alert', what: 'quota.near', repository: '', detail: { scope, used, limit, soft } }
}
