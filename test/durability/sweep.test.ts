import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Fault } from './inject.ts'
import { unable } from './mounts.ts'
import { runSweep } from './sweep.ts'

// One or two points of each kind of call; `npm run durability` takes all of them.
const faults: Record<Fault, string> = {
  SIGKILL: 'a crash',
  ENOSPC: 'a write that finds no space',
  'ENOSPC+': 'a disk that stays full',
  EIO: 'a disk error',
}
for (const [fault, what] of Object.entries(faults)) {
  it(`stays right and works again after ${what} at any point of a change`, { skip: unable('strace') }, async () => {
    const { trials, injected, acknowledged, ...findings } = await runSweep({
      faults: [fault as Fault],
      perCall: fault === 'SIGKILL' ? 1 : 2,
    })
    assert.deepEqual(findings, {
      notRecovered: 0,
      unclear: 0,
      leaks: 0,
      lost: 0,
      wrongBytes: 0,
      serverErrors: 0,
      details: [],
    })
    assert.ok(injected >= trials / 2 && acknowledged < trials)
  })
}
