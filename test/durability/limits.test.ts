import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runFullDisk } from './full-disk.ts'
import { runStops } from './graceful-stop.ts'
import { runMemory } from './memory.ts'
import { unable } from './mounts.ts'

it(
  'says 507 on a full disk, serves what it has, leaves no rest, and goes on when there is space',
  { skip: unable('mount') },
  async () => {
    const { acknowledged, refused, ...result } = await runFullDisk()
    const nothingFound = { lost: 0, wrongBytes: 0, serverErrors: 0, details: [] }
    assert.deepEqual(result, {
      statuses: { '507 UNAVAILABLE': refused },
      leaks: 0,
      leftovers: 0,
      whileFull: nothingFound,
      recovered: '30 of 30',
      afterGrowth: nothingFound,
    })
    assert.ok(acknowledged > 20)
  },
)

it('fails no request in flight when it is asked to stop under load', async () => {
  const { failed, wrong, exitCodes, details, afterSignal } = await runStops({ trials: 3 })
  assert.deepEqual({ failed, wrong, exitCodes, details }, { failed: 0, wrong: 0, exitCodes: { 0: 3 }, details: [] })
  assert.ok(afterSignal > 0)
})

it('takes and gives 200 blobs of 8 MiB at once within 250 MB', async () => {
  const { pushed, pulled, pushMegabytes, pullMegabytes } = await runMemory(200)
  assert.deepEqual([pushed, pulled], [200, 200])
  assert.ok(pushMegabytes <= 250, `${pushMegabytes} MB while pushing`)
  assert.ok(pullMegabytes <= 250, `${pullMegabytes} MB while pulling`)
})
