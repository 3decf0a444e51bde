import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { createCollectionCommands } from '../sql/collection-commands.ts'
import { createCollectionFacts } from '../sql/collection-facts.ts'
import { tagsNeeding } from '../sql/protection.ts'
import { createQuotaCommands } from '../sql/quota-commands.ts'
import type { Statement, Steps } from '../sql/statement.ts'
import { dialect, migrate } from './dialect.ts'

// SQLite chooses by rules of thumb where it knows nothing of a table: then it may look through all that a repository has.
describe('SQLite', () => {
  const database = new DatabaseSync(':memory:')
  migrate(database)
  const planOf = (text: string) =>
    database
      .prepare(`explain query plan ${text}`)
      .all()
      .map(({ detail }) => String(detail))

  /** The texts of the statements, when each finds nothing. */
  function textsOf(steps: Steps<unknown>): string[] {
    const texts: string[] = []
    for (let step = steps.next(); !step.done; step = steps.next([])) texts.push((step.value as Statement).text)
    return texts
  }

  it('finds the tags of a manifest that is deleted by their index', () => {
    const plan = planOf('delete from manifest where repository_id = 1 and digest = ?1')
    assert.match(plan.join(), /tag USING INDEX tag_digest \(repository_id=\? AND digest=\?\)/)
  })

  it('finds the tags that need a blob by what refers to it', () => {
    const plan = textsOf(tagsNeeding(1, 'sha256:aa')).flatMap(planOf)
    assert.ok(plan.some((detail) => detail.startsWith('SEARCH reference')))
    for (const detail of plan) assert.doesNotMatch(detail, /\(repository_id=\?\)/)
  })

  it('finds what is deleted next by its digest, not by looking at all that is condemned', () => {
    const commands = createCollectionCommands({ dialect, quotas: {} } as Parameters<typeof createCollectionCommands>[0])
    const steps = [commands.beginDeleting(['sha256:aa'], 1, 2), commands.finishDeleting(['sha256:aa'], 2)]
    const plan = steps.flatMap(textsOf).flatMap(planOf)
    assert.equal(plan.filter((detail) => detail.includes('doomed USING PRIMARY KEY (digest=?)')).length, 3)
    assert.ok(!plan.some((detail) => detail.includes('doomed_since')))
  })

  it('counts for a quota only what its repositories hold', () => {
    const act = { at: 0, actor: { name: '', address: '' } }
    function* nothing(): Steps<void> {}
    const { commands } = createQuotaCommands(dialect, () => nothing())
    const plan = textsOf(commands.setQuota({ scope: 'team', limit: 1, soft: 1, isConfigured: false }, act)).flatMap(
      planOf,
    )
    assert.ok(plan.some((detail) => detail.startsWith('SEARCH reference')))
    for (const detail of plan) assert.doesNotMatch(detail, /SCAN (reference|manifest|blob)/)
  })

  it('finds manifests that were not read yet without looking at the others', async () => {
    const texts: string[] = []
    const read = <Result>(steps: Steps<Result>) => (texts.push(...textsOf(steps)), [] as Result)
    const facts = createCollectionFacts({ read, textsOf: dialect.textsOf } as unknown as Parameters<
      typeof createCollectionFacts
    >[0])
    await facts.unread(20)
    assert.match(texts.flatMap(planOf).join(), /manifest USING INDEX manifest_unread/)
  })
})
