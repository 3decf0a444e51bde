import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ann, basic, bearer, claimsOf, headerOf, jsonOf, useTokenApp } from './tools.ts'

const appScope = 'repository:team/app:pull,push'

const app = await useTokenApp()
const offline = await useTokenApp((configuration) => (configuration.tokens!.offline = true))

describe('the token service', () => {
  it('asks for a bearer token at its own address, with what the request needs', async () => {
    const challengeOf = async (path: string, method = 'GET', headers = {}) =>
      (await app.call(method, path, { headers })).headers['www-authenticate']
    const realm = `Bearer realm="${app.url}/token",service="holdfast"`
    assert.equal(await challengeOf('/v2/'), realm)
    assert.equal(await challengeOf('/v2/team/app/manifests/v1'), `${realm},scope="repository:team/app:pull"`)
    assert.equal(await challengeOf('/v2/team/app/blobs/uploads/', 'POST'), `${realm},scope="${appScope}"`)
    assert.equal(await challengeOf('/v2/_catalog'), `${realm},scope="registry:catalog:*"`)
    assert.equal(
      await challengeOf(`/v2/team/app/blobs/uploads/?mount=sha256:${'0'.repeat(64)}&from=team/other`, 'POST'),
      `${realm},scope="${appScope} repository:team/other:pull"`,
    )
    assert.equal(
      await challengeOf('/v2/', 'GET', { Host: 'registry.test:8443' }),
      realm.replace(/127[^/]+/, 'registry.test:8443'),
    )
    assert.equal(await challengeOf('/v2/', 'GET', { Host: 'x" evil="' }), 'Bearer realm="/token",service="holdfast"')
    assert.equal(await challengeOf('/v2/', 'GET', { authorization: bearer('x') }), `${realm},error="invalid_token"`)
    assert.equal(await challengeOf('/v2/', 'GET', { authorization: basic('ann', 'wrong') }), realm)
  })

  it('gives a token for Basic credentials, and lets its bearer do what it says', async () => {
    const answer = await app.get(`/token?service=holdfast&scope=${appScope}&account=ann&client_id=docker`, ann)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['cache-control'], 'no-store')
    const { token, access_token: same, ...rest } = jsonOf<{ token: string; access_token: string }>(answer)
    assert.equal(token, same)
    assert.deepEqual(rest, { expires_in: 300 })
    const { jti, iat, nbf, exp, ...claims } = claimsOf(token)
    assert.deepEqual(claims, {
      iss: 'holdfast',
      aud: 'holdfast',
      sub: 'ann',
      access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
    })
    assert.match(String(jti), /^[\da-f-]{36}$/)
    assert.deepEqual([nbf, exp], [iat, Number(iat) + 300])
    assert.deepEqual(Object.keys(headerOf(token)), ['typ', 'alg', 'kid'])
    assert.equal((await app.get('/v2/', bearer(token))).status, 200)
    assert.equal((await app.get('/v2/team/app/tags/list', bearer(token))).status, 404)
    const upload = await app.call('POST', '/v2/team/app/blobs/uploads/', { headers: { authorization: bearer(token) } })
    assert.equal(upload.status, 202)
    assert.equal((await app.get('/v2/team/app/tags/list', ann)).status, 404, 'Basic goes on working')
  })

  it('refuses what the token does not say with a challenge for it', async () => {
    const token = await app.token('repository:team/app:pull')
    for (const [method, path, scope] of [
      ['POST', '/v2/team/app/blobs/uploads/', appScope],
      ['GET', '/v2/team/other/tags/list', 'repository:team/other:pull'],
      ['DELETE', `/v2/team/app/manifests/v1`, 'repository:team/app:delete'],
      ['GET', '/v2/_catalog', 'registry:catalog:*'],
    ] as const) {
      const answer = await app.call(method, path, { headers: { authorization: bearer(token) } })
      assert.equal(answer.status, 401, path)
      assert.ok(answer.headers['www-authenticate']!.endsWith(`,scope="${scope}",error="insufficient_scope"`))
    }
  })

  it('reads scopes however they are spelled, and passes over what it does not know', async () => {
    const accessOf = async (query: string) =>
      claimsOf(jsonOf<{ token: string }>(await app.get(`/token?${query}`, ann)).token).access
    const a = (actions: string[], more = {}) => ({ type: 'repository', name: 'a', actions, ...more })
    const b = { type: 'repository', name: 'b', actions: ['push', 'pull'] }
    for (const [query, expected] of [
      ['', []],
      ['scope=repository:a:pull&scope=repository:b:push,pull', [a(['pull']), b]],
      ['scope=repository:a:pull+repository:b:push,pull', [a(['pull']), b]],
      ['scope=repository:a:pull%20repository:b:push%2Cpull%20', [a(['pull']), b]],
      ['scope=repository:a:pull&scope=repository:a:pull,push', [a(['pull', 'push'])]],
      ['scope=repository:a:*', [a(['*'])]],
      ['scope=repository:a:delete,push,fly', [a(['delete', 'push'])]],
      ['scope=repository(plugin):a:pull', [a(['pull'], { class: 'plugin' })]],
      ['scope=registry:catalog:*', [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
      ['scope=registry:catalog:search&scope=registry:api:pull', []],
      [
        'scope=repository:A:pull&scope=repository::pull&scope=x&scope=:::&scope=repository:a:&scope=repository:**:pull',
        [],
      ],
      ['scope=host:5000/a:pull&scope=repository:host:5000/a:pull&scope=repository:a%22:pull', []],
    ] as const)
      assert.deepEqual(await accessOf(query), expected, query)
    const many = Array.from({ length: 300 }, (_, index) => `scope=repository:a${index}:pull`).join('&')
    assert.equal((await accessOf(many)).length, 50, 'what fits in a header')
  })

  it('answers at every path that clients use, and says what it is for', async () => {
    for (const path of ['/token', '/auth/token', '/oauth2/token']) {
      assert.equal((await app.get(path, ann)).status, 200)
      assert.equal((await app.post({ grant_type: 'password', username: 'ann', password: 'secret' }, path)).status, 200)
      assert.equal((await app.call('PUT', path)).status, 405)
    }
  })

  it('refuses wrong credentials, and never takes them for none', async () => {
    for (const authorization of [
      basic('ann', 'wrong'),
      basic('eve', 'secret'),
      basic('ann', ''),
      'Basic x',
      'Bearer x',
      '',
      'Digest x',
    ]) {
      const answer = await app.get(`/token?scope=${appScope}`, authorization)
      assert.equal(answer.status, 401, authorization)
      assert.equal(answer.headers['www-authenticate'], 'Basic realm="holdfast"')
      assert.equal(jsonOf<{ errors: { code: string }[] }>(answer).errors[0]?.code, 'UNAUTHORIZED')
    }
    assert.equal((await app.get('/token?account=bob', ann)).status, 401)
    const wrong = await app.post({ grant_type: 'password', username: 'ann', password: 'wrong' })
    assert.equal(wrong.status, 401)
    assert.equal(jsonOf(wrong).error, 'invalid_grant')
    assert.equal((await app.post({ grant_type: 'password', username: 'ann', password: '' })).status, 401)
    assert.equal((await app.post({ grant_type: 'password', username: '', password: 'secret' })).status, 401)
    assert.equal((await app.post({ grant_type: 'password', username: 'ann:secret', password: '' })).status, 401)
  })

  it('gives those without credentials a token that is good for nothing here', async () => {
    for (const authorization of [undefined, 'Basic Og==']) {
      const { token } = jsonOf<{ token: string }>(await app.get(`/token?scope=${appScope}`, authorization))
      assert.deepEqual([claimsOf(token).sub, claimsOf(token).access], ['', []])
      assert.equal((await app.get('/v2/', bearer(token))).status, 200)
      const answer = await app.get('/v2/team/app/tags/list', bearer(token))
      assert.match(answer.headers['www-authenticate'] ?? '', /error="insufficient_scope"$/)
    }
    const form = jsonOf<{ access_token: string }>(await app.post({ grant_type: 'password', refresh_token: '' }))
    assert.equal(claimsOf(form.access_token).sub, '')
  })

  it('takes forms as OAuth 2 has them', async () => {
    const form = { grant_type: 'password', service: 'holdfast', client_id: 'c', username: 'ann', password: 'secret' }
    const repeated = new URLSearchParams(form)
    for (const scope of ['repository:a:pull', 'repository:b:push']) repeated.append('scope', scope)
    const answer = jsonOf(await app.post(repeated))
    assert.equal(answer.scope, 'repository:a:pull repository:b:push')
    assert.deepEqual(Object.keys(answer), ['token', 'access_token', 'expires_in', 'scope'])
    for (const grant of ['client_credentials', 'authorization_code', '']) {
      const refused = await app.post({ ...form, grant_type: grant })
      assert.deepEqual([refused.status, jsonOf(refused).error], [400, 'unsupported_grant_type'])
    }
    const json = await app.call('POST', '/token', { body: '{}', headers: { 'Content-Type': 'application/json' } })
    assert.deepEqual([json.status, jsonOf(json).error], [400, 'invalid_request'])
    const large = await app.post({ ...form, scope: 'x'.repeat(70_000) })
    assert.equal(large.status, 413)
  })

  it('publishes its keys', async () => {
    const { keys } = jsonOf<{ keys: Record<string, unknown>[] }>(await app.get('/token/jwks'))
    assert.deepEqual(jsonOf(await app.get('/.well-known/jwks.json')), { keys })
    assert.equal(keys.length, 2, 'one, by the ids of registry:3 and of registry:2')
    assert.match(String(keys[0]!.kid), /^[\w-]{43}$/)
    assert.match(String(keys[1]!.kid), /^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/)
    assert.ok(keys.every((key) => key.d === undefined && key.alg === 'ES256' && key.crv === 'P-256'))
    assert.equal(headerOf(await app.token(appScope)).kid, keys[0]!.kid)
    assert.match(String((await app.get('/token/certificates')).body), /^-----BEGIN CERTIFICATE-----\n/)
  })
})

describe('a refresh token', () => {
  const app = offline
  const refreshOf = async (user: string, password: string) =>
    String(jsonOf(await app.get('/token?offline_token=true', basic(user, password))).refresh_token)
  const use = (token: string) => app.post({ grant_type: 'refresh_token', refresh_token: token, scope: appScope })

  it('gives tokens without the password, again and again', async () => {
    const refresh = await refreshOf('ann', 'secret')
    assert.match(refresh, /^holdfast_ref_[\w-]{43}$/)
    for (let i = 0; i < 3; i++) {
      app.passSeconds(80 * 86_400)
      const answer = await use(refresh)
      assert.equal(answer.status, 200)
      assert.equal(jsonOf(answer).refresh_token, refresh, 'clients keep the first one')
      assert.equal(claimsOf(String(jsonOf(answer).access_token)).sub, 'ann')
    }
    app.passSeconds(91 * 86_400)
    assert.equal((await use(refresh)).status, 401)
  })

  it('is a password as well, beside any name', async () => {
    const refresh = await refreshOf('ann', 'secret')
    for (const name of ['AWS', '_json_key', 'oauth2accesstoken', '00000000-0000-0000-0000-000000000000', 'USERNAME'])
      assert.equal(claimsOf(await app.token(appScope, basic(name, refresh))).sub, 'ann')
    assert.equal((await app.get('/v2/', basic('x', `${refresh}x`))).status, 401)
  })

  it('comes only where it is asked for, and for who has a password', async () => {
    const fields = async (path: string, authorization?: string) =>
      jsonOf(await app.get(path, authorization)).refresh_token
    assert.equal(await fields('/token', ann), undefined)
    assert.equal(await fields('/token?offline_token=true'), undefined)
    const token = await app.token(appScope)
    assert.equal(await fields('/token?offline_token=true', bearer(token)), undefined, 'minutes do not become months')
    const online = { grant_type: 'password', username: 'ann', password: 'secret' }
    assert.equal(jsonOf(await app.post(online)).refresh_token, undefined)
    assert.match(String(jsonOf(await app.post({ ...online, access_type: 'offline' })).refresh_token), /^holdfast_ref_/)
  })

  it('ends with the password it was given for', async () => {
    const [ofAnn, ofBob] = [await refreshOf('ann', 'secret'), await refreshOf('bob', 'word')]
    await app.setUsers({ ann: 'changed', bob: 'other' })
    assert.equal((await use(ofAnn)).status, 401)
    await app.setUsers({ ann: 'changed' })
    assert.equal((await use(ofBob)).status, 401)
    await app.setUsers({ ann: 'secret', bob: 'word' })
    assert.equal((await use(ofAnn)).status, 401, 'once void, always void')
    assert.equal((await use('')).status, 401)
    assert.equal((await use('holdfast_ref_x y')).status, 401)
  })

  it('is kept as a hash', async () => {
    const refresh = await refreshOf('ann', 'secret')
    assert.ok(!app.logged().includes(refresh))
  })
})

describe('a token made from a token', () => {
  it('ends when that does, and says no more', async () => {
    const app = await useTokenApp()
    const token = await app.token('repository:a:pull')
    app.passSeconds(200)
    const next = await app.token('repository:a:pull,push repository:b:pull', bearer(token))
    assert.deepEqual(claimsOf(next).access, [{ type: 'repository', name: 'a', actions: ['pull'] }])
    assert.equal(claimsOf(next).exp, claimsOf(token).exp)
  })
})

describe('without the token service', () => {
  it('all is as registry:2 has it', async () => {
    const app = await useTokenApp((configuration) => (configuration.tokens = undefined))
    assert.equal((await app.get('/v2/')).headers['www-authenticate'], 'Basic realm="test"')
    assert.equal((await app.get('/token', ann)).status, 404)
  })
})
