import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runCollected } from './collected.ts'

it('loses nothing and leaves nothing when it is killed while it collects', async () => {
  const { lost, wrongBytes, serverErrors, details, ...total } = await runCollected({ trials: 5 })
  assert.deepEqual(
    { lost, wrongBytes, serverErrors, details },
    { lost: 0, wrongBytes: 0, serverErrors: 0, details: [] },
  )
  assert.ok(total.pushed > 20 && total.deleted > 5 && total.files > 0, JSON.stringify(total))
})
