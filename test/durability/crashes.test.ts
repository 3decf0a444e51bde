import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runCuts, runKills } from './crashes.ts'
import { unable } from './mounts.ts'

const nothingFound = { lost: 0, wrongBytes: 0, serverErrors: 0, details: [] }

it('loses no acknowledged push when it is killed at random moments', async () => {
  const { lost, wrongBytes, serverErrors, details, ...total } = await runKills({ trials: 10, pushes: 50 })
  assert.deepEqual({ lost, wrongBytes, serverErrors, details }, nothingFound)
  assert.ok(total.trials === 10 && total.leastAcknowledged >= 50)
})

const cutting = unable('perl', 'mkfs.ext4', 'mount')

it('loses no acknowledged push when the power is cut', { skip: cutting }, async () => {
  const { lost, wrongBytes, serverErrors, details, ...total } = await runCuts({ trials: 6, pushes: 20 })
  assert.deepEqual({ lost, wrongBytes, serverErrors, details }, nothingFound)
  assert.ok(total.trials === 6 && total.leastAcknowledged >= 20)
})
