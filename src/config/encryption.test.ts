import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadText } from '../../test/support/config-file.ts'

const key = 'ab'.repeat(32)
const s3 = 'storage: {s3: {bucket: b, region: r, accesskey: a, secretkey: s}'

describe('the keys blobs are encrypted with', () => {
  it('are read from the file and from variables, and switch the tree of links off with a word', async () => {
    const text = 'holdfast: {storage: {encryption: {keys: [{id: a, file: /key}, {id: b, command: [kms, --key, x]}]}}}\n'
    const env = { HOLDFAST_STORAGE_ENCRYPTION_KEYS_2_ID: 'c', HOLDFAST_STORAGE_ENCRYPTION_KEYS_2_KEY: key }
    const { configuration, warnings } = await loadText(text, { env })
    assert.deepEqual(configuration.storage.encryption, {
      enabled: true,
      keys: [
        { id: 'a', kind: 'file', path: '/key' },
        { id: 'b', kind: 'command', command: ['kms', '--key', 'x'] },
        { id: 'c', kind: 'key', key },
      ],
    })
    assert.equal(configuration.storage.followTree, false)
    assert.match(
      warnings.join('\n'),
      /:2: holdfast\.storage\.encryption\.keys switches holdfast\.storage\.followtree off/,
    )
  })

  for (const [what, text, message] of [
    [
      'redirects',
      `${s3}}\nholdfast: {storage: {encryption: {keys: [{id: a, key: ${key}}]}}}`,
      /:3: holdfast\.storage\.encryption\.keys needs storage\.redirect\.disable: true/,
    ],
    [
      'a short key',
      `holdfast: {storage: {encryption: {keys: [{id: a, key: abcdef}]}}}`,
      /"<secret>": expected 32 bytes/,
    ],
    ['no id', `holdfast: {storage: {encryption: {keys: [{key: ${key}}]}}}`, /keys\.0\.id is missing: expected a name/],
    ['no key', `holdfast: {storage: {encryption: {keys: [{id: a}]}}}`, /keys\.0\.key is missing: expected one of key/],
    [
      'two keys in one',
      `holdfast: {storage: {encryption: {keys: [{id: a, file: /x, key: ${key}}]}}}`,
      /keys\.0 has more than one of key, file and command/,
    ],
    [
      'one id twice',
      `holdfast: {storage: {encryption: {keys: [{id: a, file: /x}, {id: a, file: /y}]}}}`,
      /keys\.1\.id is "a" again/,
    ],
    ['nothing but on', `holdfast: {storage: {encryption: {enabled: true}}}`, /encryption\.keys is missing/],
  ] as const)
    it(`are refused with ${what}`, async () => {
      await assert.rejects(loadText(text), (error: Error) => {
        assert.match(error.message, message)
        assert.ok(!error.message.includes(key) && !error.message.includes('abcdef'))
        return true
      })
    })

  it('go with an object store that clients are not sent to, or that encrypts nothing any more', async () => {
    const keys = `keys: [{id: a, key: ${key}}]`
    await loadText(`${s3}, redirect: {disable: true}}\nholdfast: {storage: {encryption: {${keys}}}}`)
    await loadText(`${s3}}\nholdfast: {storage: {encryption: {enabled: false, ${keys}}}}`)
  })
})
