import assert from 'node:assert/strict'
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { digestOf } from '../support/client.ts'
import { ann, bearer, claimsOf, headerOf, jsonOf, useTokenApp } from './tools.ts'

const app = await useTokenApp()
const good = await app.token('repository:team/app:pull,push')
const [claims, header] = [claimsOf(good), headerOf(good)]

/** The registry's own key, which no attacker has. */
const own = ownKey()
const foreign = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const jwkOf = (key: KeyObject) => createPublicKey(key).export({ format: 'jwk' })

function ownKey(): KeyObject {
  const database = new DatabaseSync(join(app.folder, 'data/holdfast/holdfast.db'), { readOnly: true })
  const row = database.prepare("select text from vault where kind = 'token-key' and id = 'key-000001'").get()
  database.close()
  return createPrivateKey((JSON.parse(String(row!.text)) as { privateKey: string }).privateKey)
}

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token of these parts; texts go in as they are. */
function tokenOf(head: unknown, body: unknown, key: KeyObject = own): string {
  const signed = `${part(head)}.${part(body)}`
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

function hmacOf(secret: string | Buffer): string {
  const signed = `${part({ ...header, alg: 'HS256' })}.${part(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const status = async (token: string, path = '/v2/team/app/tags/list') => (await app.get(path, bearer(token))).status
const seconds = () => Math.floor(app.now() / 1000)
const [head = '', body = '', signature = ''] = good.split('.')

describe('a bearer token', () => {
  it('that is good is taken, whoever made it with our key', async () => {
    assert.equal(await status(good), 404)
    assert.equal(await status(tokenOf(header, claims)), 404)
  })

  const publicPem = createPublicKey(own).export({ type: 'spki', format: 'pem' }) as string
  const text = JSON.stringify(claims)
  const forged: [what: string, token: string][] = [
    ['without a signature', `${head}.${body}.`],
    ['of the algorithm "none"', `${part({ ...header, alg: 'none' })}.${body}.`],
    [
      'of the algorithm "NoNe" with the signature of another',
      `${part({ ...header, alg: 'NoNe' })}.${body}.${signature}`,
    ],
    ['signed by HMAC with our public key as text', hmacOf(publicPem)],
    ['signed by HMAC with our public key as JWK', hmacOf(JSON.stringify(jwkOf(own)))],
    ['signed by HMAC with nothing', hmacOf('')],
    ['of another algorithm for our key', tokenOf({ ...header, alg: 'ES384' }, claims)],
    ['of no algorithm', tokenOf({ ...header, alg: undefined }, claims)],
    ['of an algorithm from the prototype', tokenOf({ ...header, alg: 'constructor' }, claims)],
    ['signed by another key', tokenOf(header, claims, foreign.privateKey)],
    ['that brings its key (jwk)', tokenOf({ ...header, jwk: jwkOf(foreign.privateKey) }, claims, foreign.privateKey)],
    [
      'that brings its key (jwk) instead of an id',
      tokenOf({ alg: 'ES256', jwk: jwkOf(foreign.privateKey) }, claims, foreign.privateKey),
    ],
    ['that says where its key lies (jku)', tokenOf({ ...header, kid: 'x', jku: `${app.url}/token/jwks` }, claims)],
    ['that brings a certificate (x5c)', tokenOf({ alg: 'ES256', x5c: ['MIIB'] }, claims, foreign.privateKey)],
    ['with the id of a file', tokenOf({ ...header, kid: '../../../dev/null' }, claims)],
    ['with the id of a query', tokenOf({ ...header, kid: "' or 1=1 --" }, claims)],
    ['with a list as id', tokenOf({ ...header, kid: [header.kid] }, claims)],
    ['with extensions that must be understood', tokenOf({ ...header, crit: ['b64'], b64: false }, claims)],
    ['whose claims were changed', `${head}.${part({ ...claims, sub: 'bob' })}.${signature}`],
    [
      'whose signature was changed',
      `${head}.${body}.${part(Buffer.from(signature, 'base64url').fill(0).toString('latin1'))}`,
    ],
    [
      'whose signature is DER',
      `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), own).toString('base64url')}`,
    ],
    ['of another issuer', tokenOf(header, { ...claims, iss: 'other' })],
    ['for another audience', tokenOf(header, { ...claims, aud: 'other' })],
    ['for no audience', tokenOf(header, { ...claims, aud: undefined })],
    ['for an empty list of audiences', tokenOf(header, { ...claims, aud: [] })],
    ['that has expired', tokenOf(header, { ...claims, exp: seconds() - 61 })],
    ['that never expires', tokenOf(header, { ...claims, exp: undefined })],
    ['that expires at a text', tokenOf(header, { ...claims, exp: '9999999999' })],
    ['that is not yet valid', tokenOf(header, { ...claims, nbf: seconds() + 61 })],
    ['that is too long', tokenOf(header, { ...claims, more: 'x'.repeat(9000) })],
    ['with a key twice in its header', tokenOf(`{"alg":"none",${JSON.stringify(header).slice(1)}`, claims)],
    ['with a key twice in its claims', tokenOf(header, `{"sub":"bob",${text.slice(1)}`)],
    ['with a number that is not exact', tokenOf(header, text.replace(/"exp":\d+/, '"exp":99999999999999999999'))],
    ['that is nested without end', tokenOf(header, `${text.slice(0, -1)},"x":${'['.repeat(100)}${']'.repeat(100)}}`)],
    ['of claims that are no object', tokenOf(header, '[1]')],
    ['of claims that are no JSON', tokenOf(header, `${text}x`)],
    ['with a byte order mark', tokenOf(header, `\uFEFF${text}`)],
    ['with something behind it', `${good}.x`],
    ['with a dot behind it', `${good}.`],
    ['with padding', `${good}==`],
    ['with letters that are no base64url', `${good.slice(0, -4)}+/+/`],
    ['with a part missing', `${head}.${signature}`],
    ['that is empty', '..'],
  ]
  for (const [what, token] of forged)
    it(`${what} is refused`, async () => {
      const answer = await app.get('/v2/team/app/tags/list', bearer(token))
      assert.equal(answer.status, 401)
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer .*,error="invalid_token"$/)
      assert.ok(!answer.body.includes('at '), 'no stack trace')
      const refreshed = await app.post({ grant_type: 'refresh_token', refresh_token: token })
      assert.equal(refreshed.status, 401)
    })

  it('signed with RSA by somebody who has no key of ours is refused', async () => {
    const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    for (const [alg, padding] of [
      ['RS256', constants.RSA_PKCS1_PADDING],
      ['PS256', constants.RSA_PKCS1_PSS_PADDING],
    ] as const) {
      const signed = `${part({ ...header, alg })}.${body}`
      const made = sign('sha256', Buffer.from(signed), { key, padding }).toString('base64url')
      assert.equal(await status(`${signed}.${made}`), 401)
    }
  })

  it('grants nothing by names that look like patterns, nor by what is no list of grants', async () => {
    const granting = (access: unknown) => tokenOf(header, { ...claims, access })
    for (const access of [
      [{ type: 'repository', name: '**', actions: ['*'] }],
      [{ type: 'repository', name: 'team/*', actions: ['pull'] }],
      [{ type: 'repository', name: ['team/app'], actions: ['pull'] }],
      [{ type: 'repository', name: 'team/app', actions: 'pull' }],
      [{ type: 'repository', name: 'team/app', actions: [['pull']] }],
      [{ name: 'team/app', actions: ['pull'] }],
      [null, 1, 'x', []],
      { type: 'repository', name: 'team/app', actions: ['pull'] },
      'team/app',
      null,
    ]) {
      const answer = await app.get('/v2/team/app/tags/list', bearer(granting(access)))
      assert.match(answer.headers['www-authenticate'] ?? '', /error="insufficient_scope"$/, JSON.stringify(access))
    }
    assert.equal(await status(granting([{ type: 'repository', name: 'team/app', actions: ['*'] }])), 404)
  })

  it('is good until it expires, with a minute for clocks that differ, remembered or not', async () => {
    const token = await app.token('repository:team/app:pull')
    assert.equal(await status(token), 404)
    app.passSeconds(355)
    assert.equal(await status(token), 404)
    app.passSeconds(10)
    assert.equal(await status(token), 401)
  })

  it('leaves a mount from where it may not read to an upload', async () => {
    const content = Buffer.from('of another repository')
    const digest = digestOf(content)
    const pushed = await app.call('POST', `/v2/private/one/blobs/uploads/?digest=${digest}`, {
      body: content,
      headers: { authorization: ann },
    })
    assert.equal(pushed.status, 201)
    const mount = async (scope: string) => {
      const authorization = bearer(await app.token(scope))
      const path = `/v2/team/app/blobs/uploads/?mount=${digest}`
      const named = await app.call('POST', `${path}&from=private/one`, { headers: { authorization } })
      const unnamed = await app.call('POST', path, { headers: { authorization } })
      return [named.status, unnamed.status]
    }
    assert.deepEqual(await mount('repository:team/app:pull,push'), [202, 202])
    assert.deepEqual(await mount('repository:team/app:pull,push repository:private/one:push'), [202, 202])
    assert.deepEqual(await mount('repository:team/app:pull,push repository:private/one:pull'), [201, 201])
  })

  it('costs no more than a look once a second for an unknown key', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 50 }, (_, i) => status(tokenOf({ ...header, kid: `x${i}` }, claims))),
    )
    assert.deepEqual(new Set(statuses), new Set([401]))
  })
})

describe('what the token service keeps', () => {
  it('is in no log and, but for keys, not readable in the database', async () => {
    const form = { grant_type: 'password', username: 'ann', password: 'secret', access_type: 'offline' }
    const { refresh_token: refresh, access_token: token } = jsonOf<Record<string, string>>(await app.post(form))
    const folder = join(app.folder, 'data/holdfast')
    const kept = Buffer.concat([
      await readFile(join(folder, 'holdfast.db')),
      await readFile(join(folder, 'holdfast.db-wal')),
    ])
    for (const secret of [refresh!, token!, token!.split('.')[2]!]) {
      assert.ok(!kept.includes(secret))
      assert.ok(!app.logged().includes(secret))
      assert.ok(!app.accessed().includes(secret))
    }
    assert.ok(!app.logged().includes('PRIVATE KEY'))
  })
})
