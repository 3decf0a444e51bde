import assert from 'node:assert/strict'
import { it } from 'node:test'
import { need } from '../support/programs.ts'
import { fuzzApi } from './fuzz.ts'

it('answers as it describes itself, whatever it is asked', { skip: need('st') }, async () => {
  const output = await fuzzApi({ seed: 1, examples: 1, maxSeconds: 12 })
  assert.match(output, /\d+ generated, \d+ passed/)
})
