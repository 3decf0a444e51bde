import { scopesOf } from '../../rules/quotas.ts'
import type { QuotaFacts } from '../quota-facts.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { quotaOf } from './quota-commands.ts'
import { type Row, sql, type Steps, type Value } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
  textsOf: Dialect['textsOf']
}

/** Quotas, over a database that takes steps. */
export function createQuotaFacts({ read, run, now, textsOf }: Deps): QuotaFacts {
  return {
    list: async () => (await read(rows('select * from quota order by scope'))).map(quotaOf),
    async find(scope) {
      const [row] = await read(rows('select * from quota where scope = ?1', scope))
      return row && quotaOf(row)
    },
    async lacking(repository, digest) {
      const text = `
        select * from quota where scope in (select value from ${textsOf('?1')})
          and not exists (select 1 from quota_blob where quota_blob.scope = quota.scope and digest = ?2) order by scope`
      return (await read(rows(text, scopesOf(repository), digest))).map(quotaOf)
    },
    set: (quota) => run('setQuota', quota, { at: now(), actor: { name: '', address: '' } }),
    remove: (scope) => run('removeQuota', scope),
  }
}

function* rows(text: string, ...values: Value[]): Steps<Row[]> {
  return yield sql(text, ...values)
}
