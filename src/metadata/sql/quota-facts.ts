import type { QuotaFacts } from '../quota-facts.ts'
import type { Run } from './commands.ts'
import { quotaOf } from './quota-commands.ts'
import { type Row, sql, type Steps } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
}

/** Quotas, over a database that takes steps. */
export function createQuotaFacts({ read, run }: Deps): QuotaFacts {
  return {
    list: async () => (await read(rows('select scope, bytes, soft, used from quota order by scope'))).map(quotaOf),
    async find(scope) {
      const [row] = await read(rows('select scope, bytes, soft, used from quota where scope = ?1', scope))
      return row && quotaOf(row)
    },
    set: (quota) => run('setQuota', quota),
    remove: (scope) => run('removeQuota', scope),
  }
}

function* rows(text: string, ...values: string[]): Steps<Row[]> {
  return yield sql(text, ...values)
}
