import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import type { PushOutcome } from '../../registry/ports/metadata.ts'
import type { Quota } from '../quota-facts.ts'
import type { Dialect } from './dialect.ts'
import { type Row, sql, type Steps } from './statement.ts'

/** What a push brings: blobs and the manifest with their sizes. */
type Charges = Map<Digest, number>

/** An organization's quota is about the repository of its name as well. */
const inScope = `(repository.name = ?1 or substr(repository.name, 1, length(?1) + 1) = ?1 || '/')`

/** The commands of quotas, and the steps of other commands that charge them. */
export function createQuotaCommands({ lock, textsOf }: Dialect) {
  /** The quotas on a repository, which nobody else changes until the transaction ends; taken after its other locks. */
  function* on(repository: string): Steps<Quota[]> {
    const scopes = [...new Set([repository.split('/')[0]!, repository])]
    yield* lock({ alone: scopes.map(lockOf) })
    const found = yield sql(
      `select scope, bytes, soft, used from quota where scope in (select value from ${textsOf('?1')}) order by scope`,
      scopes,
    )
    return found.map(quotaOf)
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
  ): Steps<{ refused: PushOutcome } | { refused?: undefined; near: Happening[]; charge: () => Steps<void> }> {
    const wanted: { quota: Quota; added: [Digest, number][]; needed: number }[] = []
    for (const quota of yield* on(repository)) {
      const added = yield* news(quota, charges)
      const needed = added.reduce((sum, [, size]) => sum + size, 0)
      if (needed > 0 && quota.used + needed > quota.limit) return { refused: refusal(quota, needed) }
      wanted.push({ quota, added, needed })
    }
    return {
      near: wanted
        .filter(({ quota, needed }) => !isNear(quota) && isNear({ ...quota, used: quota.used + needed }))
        .map(({ quota, needed }) => nearing({ ...quota, used: quota.used + needed })),
      *charge() {
        for (const { quota, added, needed } of wanted) {
          for (const [digest, size] of added)
            yield sql('insert into quota_blob (scope, digest, size) values (?1, ?2, ?3)', quota.scope, digest, size)
          if (needed > 0) yield sql('update quota set used = used + ?2 where scope = ?1', quota.scope, needed)
        }
      },
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
    commands: {
      *setQuota({ scope, limit, soft }: Pick<Quota, 'scope' | 'limit' | 'soft'>): Steps<void> {
        yield* lock({ alone: [lockOf(scope)] })
        yield sql('delete from quota_blob where scope = ?1', scope)
        yield sql(
          `insert into quota_blob (scope, digest, size)
           select cast(?1 as text), digest, max(size) from (
             select reference.digest as digest, size from repository join reference on repository_id = repository.id
               join blob on blob.digest = reference.digest where ${inScope}
             union select digest, length(content) as size from repository join manifest on repository_id = repository.id
               where ${inScope}) as held
           group by digest`,
          scope,
        )
        yield sql(
          `insert into quota (scope, bytes, soft, used)
           select cast(?1 as text), cast(?2 as bigint), cast(?3 as bigint), coalesce(sum(size), 0) from quota_blob where scope = ?1
           on conflict (scope) do update set bytes = excluded.bytes, soft = excluded.soft, used = excluded.used`,
          ...[scope, limit, soft],
        )
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

export function quotaOf({ scope, bytes, soft, used }: Row): Quota {
  return { scope: String(scope), limit: Number(bytes), soft: Number(soft), used: Number(used) }
}

function refusal({ scope, limit, used }: Quota, needed: number): PushOutcome {
  return {
    outcome: 'refused',
    message: `the storage quota of ${scope} is exceeded: ${shown(used)} of ${shown(limit)} are used and this image needs ${shown(needed)} more; delete images (they count until they leave the trash), or ask an administrator for more`,
    detail: { scope, used, limit, needed },
  }
}

const isNear = ({ used, limit, soft }: Quota) => used >= (limit * soft) / 100

/** What tells that the soft limit was crossed. */
const nearing = ({ scope, ...quota }: Quota): Happening => ({
  ...{ type: 'alert', what: 'quota.near', repository: '', detail: { scope, ...quota } },
})

/** Bytes as docker shows them. */
function shown(bytes: number): string {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return `${Number((bytes / 1000 ** power).toPrecision(4))} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`
}
