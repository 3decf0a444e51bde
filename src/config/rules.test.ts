import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadText } from '../../test/support/config-file.ts'

const day = 86_400_000

describe('rules for tags in the configuration', () => {
  it('are read with their defaults', async () => {
    const text = `storage: {delete: {enabled: true}}
holdfast:
  immutability: [{name: releases, repositories: prod/**, tags: ['v*', '/^\\d+$/'], delete: deny}]
  retention: {interval: 6h, labels: false, rules: [{action: expire, untagged: true, olderthan: 14d}, {action: keep, by: version, newest: 3}]}
`
    const { configuration, warnings } = await loadText(text)
    assert.deepEqual(configuration.immutability, [
      {
        name: 'releases of the configuration',
        scope: '*',
        repositories: 'prod/**',
        tags: ['v*', '/^\\d+$/'],
        exclude: [],
        overwrite: 'deny',
        delete: 'deny',
      },
    ])
    const { intervalMs, labels, rules } = configuration.retention
    assert.deepEqual([intervalMs, labels, rules.length], [day / 4, false, 2])
    assert.deepEqual(
      [rules[0]!.tags, rules[0]!.olderThan, rules[1]!.tags, rules[1]!.newest],
      [undefined, 14 * day, ['*'], 3],
    )
    assert.ok(!warnings.some((warning) => warning.includes('holdfast')))
  })

  it('let nothing go where nothing may be deleted, and that is said', async () => {
    const { warnings } = await loadText('holdfast: {retention: {rules: [{action: expire, olderthan: 1d}]}}\n')
    assert.match(
      warnings.join('\n'),
      /:2: holdfast\.retention\.rules lets nothing go: storage\.delete\.enabled is false/,
    )
  })

  for (const [text, message] of [
    ['immutability: [{tags: ["/(/"]}]', /immutability\.0\.tags\.0 is "\/\(\/": expected a pattern of tags/],
    ['immutability: [{overwrite: allow}]', /immutability\.0 denies nothing/],
    ['immutability: [{overwrite: never}]', /expected allow or deny/],
    ['retention: {rules: [{olderthan: 14d}]}', /rules\.0\.action is missing: expected keep or expire/],
    ['retention: {rules: [{action: expire}]}', /rules\.0 everything would go/],
    ['retention: {rules: [{action: expire, olderthan: 14 days}]}', /expected a span such as 36h, 14d or 3w/],
    ['retention: {rules: [{action: keep, newest: 0}]}', /newest.* expected a number from 1/],
    ['retention: {interval: 1s}', /interval is less than a minute/],
    ['retention: {rule: []}', /rule/],
    ['retention: {rules: [{action: keep, platforms: ["/(/"]}]}', /platforms\.0 is "\/\(\/"/],
    ['quotas: [{limit: 1GiB}]', /quotas\.0\.scope is missing: expected an organization, a repository/],
    ['quotas: [{scope: acme}]', /quotas\.0\.limit is missing: expected a size such as 10GiB/],
    ['quotas: [{scope: acme, limit: much}]', /limit.*expected a size such as 500MB/],
    ['quotas: [{scope: acme, limit: 1GB, soft: 101}]', /quotas\.0\.soft is no share/],
    ['quotas: [{scope: acme, limit: 1GB}, {scope: acme, limit: 2GB}]', /quotas\.1\.scope stands there twice: acme/],
  ] as const)
    it(`refuse ${text}`, async () => {
      await assert.rejects(loadText(`holdfast: {${text}}\n`), message)
    })
})
