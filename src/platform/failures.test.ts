import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createFailures } from './failures.ts'
import { createLog } from './log.ts'

it('what is away is told once a second, with how many met it, and errors of ours each with its stack', () => {
  let now = 0
  let lines = ''
  const style = { formatter: 'json' as const, fields: {} }
  const log = createLog('info', (line) => (lines += line), { now: () => new Date(0) }, style)
  const tell = createFailures(log, () => now)
  const away = Object.assign(new Error('no answer from the database'), { code: 'EAGAIN' })
  for (; now < 2500; now += 100) tell(away, { uri: '/v2/' })
  tell(new Error('a bug'), { uri: '/v2/' })
  tell(new Error('a bug'), { uri: '/v2/' })
  const records = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { more?: number; error: string })
  assert.deepEqual(
    records.map(({ more, error }) => [more, error.split('\n')[0], error.includes('\n')]),
    [
      [undefined, 'no answer from the database', false],
      [9, 'no answer from the database', false],
      [9, 'no answer from the database', false],
      [undefined, 'Error: a bug', true],
      [undefined, 'Error: a bug', true],
    ],
  )
})
