import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { loadText } from '../../test/support/config-file.ts'
import { describeKeys } from './describe.ts'
import { loadConfiguration } from './load.ts'
import { ConfigurationError } from './problems.ts'
import { starterFile } from './starter-file.ts'

/** Whatever is read, the answer is a configuration or a list of errors with their places. */
async function orErrors(loading: Promise<unknown>): Promise<void> {
  try {
    await loading
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error))
    for (const line of error.errors) assert.match(line, /^(.*\/config\.yml:\d+|REGISTRY_\S*|HOLDFAST_\S*): [^\n]+$/)
  }
}

describe('whatever is written', () => {
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '',
      '~',
      '{}',
      '[]',
      '{a: b}',
      '[a, [b]]',
      '0',
      '-1',
      '1e999',
      'yes',
      ':1',
      '&a [*a]',
      '!!x y',
      '? a',
      '\u0000',
    ),
  )

  it('in a file is a configuration or an error with a line', async () => {
    const text = starterFile().replaceAll('#-', '').replace('version: 0.1', '')
    const change = fc.record({ at: fc.nat(text.length), length: fc.nat(6), by: value })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        let broken = text
        for (const { at, length, by } of changes) broken = broken.slice(0, at) + by + broken.slice(at + length)
        await orErrors(loadText(broken))
      }),
      { numRuns: 150 },
    )
  })

  it('in variables is a configuration or an error with a name', async () => {
    const names = describeKeys().flatMap(({ variables }) => variables)
    const name = fc
      .tuple(fc.constantFrom(...names), fc.constantFrom('', '', '', '_0', '_1', '_X', '_', '__proto__'))
      .map((parts) => parts.join(''))
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 4 }), (env) => orErrors(loadConfiguration({ env }))),
      { numRuns: 500 },
    )
  })
})
