import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseHtpasswd } from './file.ts'

const hash = `$2y$05$${'a'.repeat(53)}`

describe('an htpasswd file', () => {
  it('holds users with bcrypt hashes, comments and empty lines', () => {
    const { users, warnings } = parseHtpasswd(`# people\n\nann:${hash}\r\n  bob:${hash}:Bob B.\n`)
    assert.deepEqual(
      [...users],
      [
        ['ann', hash],
        ['bob', hash],
      ],
    )
    assert.deepEqual(warnings, [])
  })

  it('takes the last of two lines for one user', () => {
    const other = hash.replace('05', '10')
    assert.equal(parseHtpasswd(`ann:${hash}\nann:${other}\n`).users.get('ann'), other)
    assert.equal(parseHtpasswd(`ann:${hash}\nann:plain\n`).users.get('ann'), undefined)
  })

  for (const [kind, text] of [
    ['plain text', 'secret'],
    ['MD5', '$apr1$abcdefgh$0123456789012345678901'],
    ['SHA-1', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='],
    ['a bcrypt hash cut short', hash.slice(0, -1)],
    ['a cost bcrypt does not have', hash.replace('05', '99')],
  ] as const) {
    it(`says that ${kind} can never match, without repeating it`, () => {
      const { users, warnings } = parseHtpasswd(`ann:${hash}\nbob:${text}`)
      assert.deepEqual([...users.keys()], ['ann'])
      assert.match(warnings.join(), /^line 2: "bob" can never sign in: only bcrypt counts; use "htpasswd -B"$/)
    })
  }

  for (const line of ['nobody', ':hash', ': ']) {
    it(`refuses ${JSON.stringify(line)}, naming the line`, () => {
      assert.throws(() => parseHtpasswd(`ann:${hash}\n${line}\n`), /line 2: expected USER:HASH/)
    })
  }
})
