import { administrator, type Operation, operation } from '../../../api/operation.ts'
import { object, text } from '../../../api/schema.ts'
import { auditHash } from '../../../metadata/audit-hash.ts'
import type { AuditEntry, AuditRecord } from '../../../metadata/account-facts.ts'
import type { Deps } from './deps.ts'

const number = text({ pattern: /^\d{1,15}$/, form: 'expected a number' })
const [usual, most, atOnce] = [50, 500, 1000]
/** An export has so many records at most; it goes on after the last one. */
const mostExported = 100_000

const show = ({ sequence, at, previous, hash, body }: AuditRecord) => ({
  sequence,
  at: new Date(at).toISOString(),
  ...(JSON.parse(body) as AuditEntry),
  previous,
  hash,
})

/** The record of what was done, who signed in and who was refused. */
export function auditOperations({ facts, audit }: Deps): Operation[] {
  return [
    operation({
      method: 'GET',
      path: '/audit',
      summary:
        'Read the audit log, the newest first; with `Accept: application/x-ndjson` from the oldest on, a line each',
      access: administrator,
      query: object(
        {},
        { limit: number, cursor: number, after: number, actor: text({ max: 300 }), action: text({ max: 100 }) },
      ),
      async handle({ query, request }) {
        await audit.flush()
        const fits = ({ body }: AuditRecord) => {
          const { actor, action } = JSON.parse(body) as AuditEntry
          return (query.actor ?? actor) === actor && (query.action ?? action) === action
        }
        if (request.headers.accept?.includes('application/x-ndjson'))
          return { body: await exported(Number(query.after ?? 0), fits) }
        const limit = Math.min(Math.max(1, Number(query.limit ?? usual)), most)
        const items: AuditRecord[] = []
        let place = Number(query.cursor ?? Number.MAX_SAFE_INTEGER)
        let next: number | undefined
        for (let looked = 0; items.length < limit && looked < 10 * atOnce; looked += atOnce) {
          const records = await facts.audit.before(place, atOnce)
          for (const record of records) {
            place = record.sequence
            if (fits(record)) items.push(record)
            if (items.length === limit) break
          }
          next = records.length < atOnce && records.at(-1)?.sequence === place ? undefined : place
          if (records.length < atOnce) break
        }
        return { body: { items: items.map(show), ...(next !== undefined && next > 1 && { next: String(next) }) } }
      },
    }),

    operation({
      method: 'GET',
      path: '/audit/verify',
      summary: 'Whether the audit log is whole: each record vouches for all before it',
      access: administrator,
      async handle() {
        await audit.flush()
        return { body: await verify() }
      },
    }),
  ]

  async function exported(after: number, fits: (record: AuditRecord) => boolean): Promise<string> {
    let text = ''
    for (let place = after, count = 0; count < mostExported;) {
      const records = await facts.audit.after(place, atOnce)
      text += records
        .filter(fits)
        .map((record) => `${JSON.stringify(show(record))}\n`)
        .join('')
      if (records.length < atOnce) break
      place = records.at(-1)!.sequence
      count += records.length
    }
    return text
  }

  /** Recomputes the chain; where the log was shortened it must begin where a record says so. */
  async function verify() {
    let [count, first, last] = [0, undefined as AuditRecord | undefined, undefined as AuditRecord | undefined]
    const trimmedTo = new Set<string>()
    for (;;) {
      const records = await facts.audit.after(last?.sequence ?? 0, atOnce)
      for (const record of records) {
        const isNext = last === undefined || (record.sequence === last.sequence + 1 && record.previous === last.hash)
        if (!isNext || record.hash !== auditHash(record))
          return { isWhole: false, brokenAt: record.sequence, records: count }
        const { action, detail } = JSON.parse(record.body) as AuditEntry
        if (action === 'audit.trimmed') trimmedTo.add(String(detail?.hash))
        first ??= record
        last = record
        count++
      }
      if (records.length < atOnce) break
    }
    const isFromStart = first === undefined || first.previous === '' || trimmedTo.has(first.previous)
    return {
      isWhole: isFromStart,
      ...(!isFromStart && { brokenAt: first!.sequence }),
      records: count,
      ...(last && { head: { sequence: last.sequence, hash: last.hash } }),
    }
  }
}
