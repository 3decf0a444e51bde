import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { tagsNeeding } from '../sql/protection.ts'
import type { Statement } from '../sql/statement.ts'
import { migrate } from './dialect.ts'

// SQLite chooses by rules of thumb where it knows nothing of a table: then it may look through all that a repository has.
describe('SQLite', () => {
  const database = new DatabaseSync(':memory:')
  migrate(database)
  const planOf = (text: string) =>
    database
      .prepare(`explain query plan ${text}`)
      .all()
      .map(({ detail }) => String(detail))

  it('finds the tags of a manifest that is deleted by their index', () => {
    const plan = planOf('delete from manifest where repository_id = 1 and digest = ?1')
    assert.match(plan.join(), /tag USING INDEX tag_digest \(repository_id=\? AND digest=\?\)/)
  })

  it('finds the tags that need a blob by what refers to it', () => {
    const steps = tagsNeeding(1, 'sha256:aa')
    steps.next()
    const plan = planOf((steps.next([]).value as Statement).text)
    assert.ok(plan.some((detail) => detail.startsWith('SEARCH reference')))
    for (const detail of plan) assert.doesNotMatch(detail, /\(repository_id=\?\)/)
  })
})
