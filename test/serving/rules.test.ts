import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Configuration } from '../../src/config/configuration.ts'
import { basic, passwordOf, useAccounts } from '../support/accounts.ts'
import { type TestApp, useApp } from '../support/app.ts'
import { createBrowser } from '../support/browser.ts'
import { type Answer, type CallOptions, call, codesOf, describeContent, digestOf, types } from '../support/client.ts'
import { pushImage } from '../support/registry.ts'
import { tokensOn } from '../tokens/tools.ts'

const ask = ({ port }: TestApp, method: string, path: string, options?: CallOptions) =>
  call(`http://127.0.0.1:${port}`, method, path, options)
const push = ({ port }: TestApp, tag: string) =>
  pushImage(`http://127.0.0.1:${port}`, 'a/b', tag, [Buffer.from('layer')])
const putManifest = (app: TestApp, document: object) =>
  ask(app, 'PUT', '/v2/a/b/manifests/v1', {
    body: JSON.stringify(document),
    headers: { 'Content-Type': (document as { mediaType: string }).mediaType },
  })

function assertUnsupported(answer: Answer, sentence: RegExp): void {
  assert.equal(answer.status, 405)
  assert.deepEqual(codesOf(answer), ['UNSUPPORTED'])
  assert.match(answer.body.toString(), sentence)
}

describe('read-only mode', () => {
  it('refuses every write and serves every read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-rules-'))
    const writable = await useApp(undefined, { folder })
    const { digest } = await push(writable, 'v1')
    await writable.close()
    const app = await useApp((configuration) => (configuration.storage.readOnly = true), { folder })
    for (const [method, path] of [
      ['POST', '/v2/a/b/blobs/uploads/'],
      ['POST', `/v2/c/blobs/uploads/?mount=${digestOf('layer')}&from=a/b`],
      ['PATCH', '/v2/a/b/blobs/uploads/x'],
      ['PUT', '/v2/a/b/manifests/v2'],
      ['DELETE', `/v2/a/b/manifests/${digest}`],
      ['DELETE', `/v2/a/b/blobs/${digestOf('layer')}`],
    ] as const)
      assertUnsupported(await ask(app, method, path), /read-only for maintenance/)
    assert.equal((await ask(app, 'GET', '/v2/a/b/manifests/v1')).status, 200)
    assert.equal((await ask(app, 'HEAD', `/v2/a/b/blobs/${digestOf('layer')}`)).status, 200)
    await app.close()
    await rm(folder, { recursive: true })
  })

  it('lets everybody sign in and out, and credentials be taken back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-rules-'))
    const tokensIn = (configuration: Configuration) => (configuration.tokens = { ...tokensOn })
    const writable = await useAccounts(tokensIn, { folder })
    await writable.addUser('ann')
    await writable.close()
    const app = await useAccounts(
      (configuration) => {
        tokensIn(configuration)
        configuration.storage.readOnly = true
      },
      { folder },
    )
    const { api, url, root } = app
    const browser = createBrowser()
    const fields = { name: 'ann', password: passwordOf('ann') }
    assert.equal((await browser.submit(`${url}/sign-in`, fields)).status, 303)
    const page = await (await browser.visit(`${url}/sign-in`)).text()
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)![1]!
    const device = await browser.submit(`${url}/device_authorization`, {})
    const { user_code: code } = (await device.json()) as { user_code: string }
    const shown = await browser.submit(`${url}/device`, { csrf, user_code: code, answer: 'allow' })
    assert.match(await shown.text(), /is signed in/)
    assert.equal((await browser.submit(`${url}/sign-out`, { csrf })).status, 303)
    assert.ok((await (await browser.visit(`${url}/sign-in`)).text()).includes('name="password"'))

    const grant = { grant_type: 'password', username: 'ann', password: passwordOf('ann'), access_type: 'offline' }
    for (const path of ['/token', '/oauth2/token', '/auth/token'])
      assert.equal((await browser.submit(url + path, grant)).status, 200, path)
    assert.equal((await api('POST /session', { as: '', body: fields })).status, 204)
    const { secret, id } = await app.must('POST /tokens', { as: app.user('ann'), body: { name: 'x' } })
    assert.equal(await app.status('GET /', basic('ann', secret)), 200)
    assert.equal((await api(`DELETE /tokens/${id}`, { as: app.user('ann') })).status, 204)
    assert.equal((await api('PUT /users/ann', { body: { isDisabled: true } })).status, 200)
    assert.equal(await app.status('GET /', app.user('ann')), 401)
    for (const request of [
      'PUT /orgs/acme',
      'PUT /repos/ann/app',
      'POST /jobs',
      'PUT /policies/p',
      'DELETE /orgs/acme',
    ])
      assert.equal((await api(request, { body: {} })).status, 405, request)
    assert.equal(await app.status('POST /ann/app/blobs/uploads/', root), 405)
    for (const path of ['/tokens', '/device/x', '/v2/token', '/x/api/v1/session', '/api/v1/users%2f..%2frepos'])
      assert.notEqual((await ask(app, 'POST', path)).status, 200, path)
    await app.close()
    await rm(folder, { recursive: true })
  })
})

describe('the delete switch', () => {
  it('refuses to delete manifests, tags and blobs, but lets uploads be cancelled', async () => {
    const app = await useApp((configuration) => (configuration.storage.delete = false))
    const { digest } = await push(app, 'v1')
    for (const path of [`manifests/${digest}`, 'manifests/v1', `blobs/${digestOf('layer')}`])
      assertUnsupported(await ask(app, 'DELETE', `/v2/a/b/${path}`), /deleting is switched off/)
    const { headers } = await ask(app, 'POST', '/v2/a/b/blobs/uploads/')
    assert.equal((await ask(app, 'DELETE', headers.location!)).status, 204)
    assert.equal((await ask(app, 'GET', '/v2/a/b/manifests/v1')).status, 200)
  })
})

describe('lists', () => {
  it('have at most as many entries as is configured', async () => {
    const app = await useApp(({ lists }) => Object.assign(lists, { tagsMax: 2, catalogMax: 1 }))
    for (const tag of ['a', 'b', 'c']) await push(app, tag)
    const tags = await ask(app, 'GET', '/v2/a/b/tags/list?n=1000')
    assert.deepEqual(JSON.parse(tags.body.toString()).tags, ['a', 'b'])
    assert.match(tags.headers.link ?? '', /last=b/)
    const { status, body } = await ask(app, 'GET', '/v2/_catalog?n=1000')
    assert.deepEqual([status, JSON.parse(body.toString()).repositories.length], [200, 1])
  })
})

describe('rules for manifests', () => {
  const withRules = (validation: Partial<Configuration['validation']>) =>
    useApp((configuration) => Object.assign(configuration.validation, validation))
  const imageFrom = (...urls: string[]) => ({
    schemaVersion: 2,
    mediaType: types.dockerImage,
    config: describeContent('{}', 'application/vnd.docker.container.image.v1+json'),
    layers: [{ ...describeContent('foreign', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), urls }],
  })

  for (const [what, urls, allowed, refused] of [
    ['any without rules', undefined, ['http://anywhere/x', 'ftp://anywhere/x'], []],
    ['none where no pattern is given', { allow: [], deny: [] }, [], ['https://a.example.com/x']],
    [
      'those that are allowed',
      { allow: [/^https:\/\/a\./], deny: [] },
      ['https://a.example.com/x'],
      ['https://b.example.com/x', 'https://a.example.com/x#y'],
    ],
    [
      'all but those that are denied',
      { allow: [], deny: [/evil/] },
      ['https://a.example.com/x'],
      ['https://evil.example.com/', 'file:///etc/passwd'],
    ],
  ] as const) {
    it(`take URLs of layers: ${what}`, async () => {
      const rules = urls && { allow: [...urls.allow], deny: [...urls.deny] }
      const app = await withRules({ urls: rules })
      await ask(app, 'POST', `/v2/a/b/blobs/uploads/?digest=${digestOf('{}')}`, { body: '{}' })
      for (const url of allowed) assert.equal((await putManifest(app, imageFrom(url))).status, 201, url)
      for (const url of refused) {
        const answer = await putManifest(app, imageFrom('https://a.example.com/ok', url))
        assert.deepEqual([answer.status, codesOf(answer)], [400, ['MANIFEST_INVALID']], url)
      }
    })
  }

  const child = (architecture: string) => ({
    ...describeContent(architecture, types.image),
    platform: { architecture, os: 'linux' },
  })
  const index = (...manifests: object[]) => ({ schemaVersion: 2, mediaType: types.index, manifests })

  it('ask for every child of an index, for none, or for those of some machines', async () => {
    const amd = [{ architecture: 'amd64', os: 'linux' }]
    for (const [indexPlatforms, foreign, own, unknown] of [
      ['all', 400, 400, 400],
      ['none', 201, 201, 201],
      [amd, 201, 400, 400],
    ] as const) {
      const app = await withRules({ indexPlatforms: typeof indexPlatforms === 'string' ? indexPlatforms : [...amd] })
      const statusOf = async (...manifests: object[]) => (await putManifest(app, index(...manifests))).status
      assert.equal(await statusOf(child('arm64')), foreign)
      assert.equal(await statusOf(child('arm64'), child('amd64')), own)
      assert.equal(await statusOf(describeContent('x', types.image)), unknown)
    }
  })
})
