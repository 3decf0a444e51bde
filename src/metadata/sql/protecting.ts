import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { ImmutabilityRule, Protects } from '../../rules/immutability.ts'
import { accountVersion } from './account-commands.ts'
import { type Held, type Refused, tagsNeeding } from './protection.ts'
import { type Row, sql, type Steps } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  /** Those of the configuration. */
  rules: readonly ImmutabilityRule[]
}

/** Tags that are about to change: these, or all that need the digest. */
type Change = { repository: string; from: 'overwrite' | 'delete' } & ({ tags: string[] } | { digest: Digest })

/** Rules change seldom: so often in a row only where something is wrong. */
const attempts = 20

/**
 * Judges changes of tags by the rules there are. What was judged counts only if the transaction that makes the change finds the
 * same version of the rules: so a rule or a lock holds everywhere from when it was acknowledged, and of two who push to a tag that
 * is to stay one comes first.
 */
export function createProtection({ read, rules }: Deps) {
  let known: { version: number; hasLocks: boolean; protects: Protects | undefined } | undefined

  async function look(): Promise<NonNullable<typeof known>> {
    const version = await read(accountVersion()) // first: what changes after it is found stale
    const rows = await read(ruleRows())
    const hasLocks = await read(anyLock())
    if (rows.length + rules.length === 0) return { version, hasLocks, protects: undefined }
    const { compileImmutability, parseImmutability } = await import('../../rules/immutability.ts')
    const kept = rows.flatMap(({ document, scope }) => parseImmutability(JSON.parse(String(document)), String(scope)))
    return { version, hasLocks, protects: compileImmutability([...rules, ...kept]) }
  }

  /** How the rules judge the change. */
  async function judge(change: Change): Promise<Held> {
    const { version, hasLocks, protects } = (known ??= await look())
    if (!protects) return { version, hasLocks, rules: {}, judged: undefined }
    const { repository, from } = change
    const judged = 'tags' in change ? change.tags : await read(needing(repository, change.digest))
    const found = judged.flatMap((tag) => {
      const rule = protects(repository, tag, from)
      return rule === undefined ? [] : [[tag, rule] as const]
    })
    return { version, hasLocks, rules: Object.fromEntries(found), judged }
  }

  /** Makes the change. @throws OciError DENIED where a rule or a lock forbids it */
  async function hold<Result>(change: Change, make: (held: Held) => Promise<Result | Refused>): Promise<Result> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const result = await make(await judge(change))
      if (!isRefused(result)) return result
      if (result.outcome === 'protected') throw denied(change, result)
      known = undefined
    }
    throw Object.assign(new Error('the rules for tags change all the time: try again'), { code: 'EAGAIN' })
  }

  return { judge, hold, forget: () => void (known = undefined) }
}

function isRefused(result: unknown): result is Refused {
  const outcome = typeof result === 'object' && result !== null && 'outcome' in result ? result.outcome : undefined
  return outcome === 'stale' || outcome === 'protected'
}

function denied({ repository, from }: Change, { tag, digest, rule, isLock }: Refused & { outcome: 'protected' }) {
  const cause = isLock ? `is locked${rule && ` by ${rule}`}` : `is protected by the immutability rule ${rule}`
  const way = isLock ? `holdfast tag unlock ${repository}:${tag}` : 'have the rule changed'
  const name = `tag ${tag} of ${repository}`
  return new OciError('DENIED', {
    message:
      from === 'overwrite'
        ? `${name} ${cause} and stays at ${digest}: push another tag, or ${way}`
        : `${name} (${digest}) ${cause} and is not deleted: leave it, or ${way}`,
    detail: { tag, digest, rule: isLock ? 'lock' : rule },
  })
}

function* ruleRows(): Steps<Row[]> {
  return yield sql(`select scope, document from rule_set where kind = 'immutability' order by scope`)
}

function* anyLock(): Steps<boolean> {
  return (yield sql('select 1 from tag_lock limit 1')).length > 0
}

function* needing(repository: string, digest: Digest): Steps<string[]> {
  const [row] = yield sql('select id from repository where name = ?1', repository)
  return row ? yield* tagsNeeding(Number(row.id), digest) : []
}
