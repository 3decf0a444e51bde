import assert from 'node:assert/strict'
import { createHash, createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import { before, beforeEach, describe, it } from 'node:test'
import type { Configuration } from '../../src/config/configuration.ts'
import { useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { createBrowser, type TestBrowser } from '../support/browser.ts'
import { openidOn, startLiar, startProvider, withoutProvider } from '../support/openid.ts'

type Here = Awaited<ReturnType<typeof useAccounts>>

async function nameOf(here: Here, browser: TestBrowser): Promise<string | undefined> {
  const reply = await browser.visit(`${here.url}/api/v1/me`)
  return reply.ok ? ((await reply.json()) as { name: string }).name : undefined
}

describe('users of a real provider', { skip: withoutProvider }, async () => {
  const people: Parameters<typeof startProvider>[0] = {
    'sub-1': { preferred_username: 'ann', groups: ['developers'] },
    'sub-2': { preferred_username: 'Boss', groups: ['operators'] },
    'sub-3': { preferred_username: 'ann', groups: [] },
    'sub-4': { preferred_username: 'local', groups: [] },
    'sub-5': { preferred_username: 'not a name', groups: [] },
    'sub-7': { preferred_username: 'held', groups: [] },
    'sub-6': { preferred_username: 'root', groups: ['operators'] },
  }
  const groups = [
    { group: 'developers', team: 'acme/dev', administrator: false },
    { group: 'operators', team: undefined, administrator: true },
  ]
  const provider = await startProvider(people)
  const here = await useAccounts((configuration) => openidOn(configuration, provider.url, { groups }))
  before(async () => {
    provider.start(here.url)
    await here.addUser('local')
    await here.must('PUT /orgs/acme', { body: {} })
    await here.must('PUT /orgs/acme/teams/dev', { body: {} })
  })

  /** Goes through the provider's forms as a person does; stops before the address that `until` fits. */
  async function dance(browser: TestBrowser, login: string, { path = '/device', until = /^$/ } = {}) {
    let address = `${here.url}/oidc/login?return=${encodeURIComponent(path)}`
    let init: Parameters<TestBrowser['visit']>[1] = {}
    for (let steps = 0; steps < 20; steps++) {
      if (until.test(address)) return { address, reply: undefined }
      const reply = await browser.visit(address, init)
      init = {}
      const next = reply.headers.get('location')
      if (next !== null) address = new URL(next, address).href
      else if (address.includes('/interaction/')) {
        const page = await reply.text()
        const prompt = /name="prompt" value="(\w+)"/.exec(page)![1]!
        address = new URL(/action="([^"]+)"/.exec(page)![1]!, address).href
        init = { method: 'POST', body: new URLSearchParams({ prompt, login, password: 'any' }) }
      } else return { address, reply }
    }
    throw new Error(`no end at ${address}`)
  }

  it('sign in there, have an account, and come back to where they were going', async () => {
    const browser = createBrowser()
    const { address } = await dance(browser, 'sub-1', { path: '/sign-in?x=1' })
    assert.equal(address, `${here.url}/sign-in?x=1`)
    assert.equal(await nameOf(here, browser), 'ann')
    const me = (await (await browser.visit(`${here.url}/api/v1/me`)).json()) as Record<string, unknown>
    assert.deepEqual([me.teams, me.organizations, me.isAdministrator], [['acme/dev'], ['acme'], false])
    const session = (await (await browser.visit(`${here.url}/api/v1/session`)).json()) as { by: string }
    assert.equal(session.by, 'openid')
    const { items } = await here.must('GET /audit?action=user.created&actor=ann')
    assert.deepEqual(items[0].detail, { by: 'openid', issuer: provider.url, subject: 'sub-1' })
  })

  it('have the teams of their groups as they are at each sign-in', async () => {
    people['sub-1']!.groups = ['operators']
    const browser = createBrowser()
    await dance(browser, 'sub-1')
    const me = (await (await browser.visit(`${here.url}/api/v1/me`)).json()) as Record<string, unknown>
    assert.deepEqual([me.teams, me.organizations, me.isAdministrator], [[], [], true])
    const boss = createBrowser()
    await dance(boss, 'sub-2')
    assert.equal(await nameOf(here, boss), 'boss')
    assert.equal((await boss.visit(`${here.url}/api/v1/users`)).status, 200)
  })

  it('are who the provider says by sub, whatever they are called', async () => {
    people['sub-1']!.preferred_username = 'ann2'
    const browser = createBrowser()
    await dance(browser, 'sub-1')
    assert.equal(await nameOf(here, browser), 'ann')
  })

  it('take over nobody else’s name', async () => {
    for (const [login, reason] of [
      ['sub-3', /ann is disabled, or somebody else/],
      ['sub-4', /local is disabled, or somebody else/],
      ['sub-5', /no name of an account/],
      ['sub-6', /root is disabled, or somebody else/],
    ] as const) {
      const browser = createBrowser()
      const { reply } = await dance(browser, login)
      assert.equal(reply!.status, 403)
      const page = (await reply!.text()).replaceAll('&#39;', "'")
      assert.match(page, reason)
      assert.equal(await nameOf(here, browser), undefined)
    }
    assert.equal(await here.status('GET /', here.user('local')), 200)
  })

  it('do not own by their name what others have pushed before they came', async () => {
    await here.push('held/app', here.root)
    const browser = createBrowser()
    await dance(browser, 'sub-7')
    const me = (await (await browser.visit(`${here.url}/api/v1/me`)).json()) as { name: string; owns: string[] }
    assert.deepEqual([me.name, me.owns], ['held', []])
  })

  it('cannot sign in twice by one answer, nor by that of another browser', async () => {
    const browser = createBrowser()
    const { address } = await dance(browser, 'sub-1', { until: /\/oidc\/callback\?/ })
    const thief = createBrowser()
    assert.equal((await thief.visit(address)).status, 403) // login CSRF, or a stolen answer
    const begun = createBrowser()
    await begun.visit(`${here.url}/oidc/login`)
    assert.equal((await begun.visit(address)).status, 403) // it has a sign-in of its own
    const other = new URL(address)
    other.searchParams.set('iss', 'https://another.example')
    assert.equal((await browser.visit(other)).status, 403) // mix-up
    other.searchParams.delete('iss')
    assert.equal((await browser.visit(other)).status, 403) // it says that it sends it
    const kept = new Map(browser.cookies)
    assert.equal((await browser.visit(address)).status, 303)
    for (const [name, value] of kept) thief.cookies.set(name, value)
    assert.equal((await thief.visit(address)).status, 403)
    assert.equal(await nameOf(here, thief), undefined)
  })

  it('have no password here, and their sessions end with their accounts', async () => {
    const browser = createBrowser()
    await dance(browser, 'sub-2')
    const guesses = ['', 'any', 'openid:', 'sub-2']
    for (const password of guesses) assert.equal(await here.status('GET /', `Basic ${btoa(`boss:${password}`)}`), 401)
    await here.must('PUT /users/boss', { body: { isDisabled: true } })
    assert.equal(await nameOf(here, browser), undefined)
    const again = createBrowser()
    assert.equal((await dance(again, 'sub-2')).reply!.status, 403)
  })

  it('sign out here, and are led to sign out there', async () => {
    const browser = createBrowser()
    await dance(browser, 'sub-1')
    const page = await (await browser.visit(`${here.url}/sign-in`)).text()
    const csrf = /name="csrf" value="([\w-]+)"/.exec(page)![1]!
    assert.equal((await browser.submit(`${here.url}/sign-out`, { csrf: 'x' })).status, 403)
    assert.equal((await browser.submit(`${here.url}/sign-out`, { csrf }, 'https://evil.example')).status, 403)
    const reply = await browser.submit(`${here.url}/sign-out`, { csrf })
    assert.equal(await nameOf(here, browser), undefined)
    const link = /href="([^"]+)"/.exec(await reply.text())![1]!.replaceAll('&amp;', '&')
    assert.ok(link.startsWith(provider.url))
    assert.equal((await browser.visit(link)).status, 200)
  })

  it('are in the audit log', async () => {
    const failed = await eventually(async () => {
      const { items } = await here.must('GET /audit?action=sign-in.failed')
      return items.length > 0 && items
    })
    assert.ok(
      failed.some(
        (item: { target: string; detail: { reason: string } }) =>
          item.target === 'openid' && item.detail.reason.includes('another sign-in'),
      ),
    )
    assert.ok((await here.must('GET /audit?action=session.began&actor=ann')).items[0].target === 'openid')
    assert.ok(!here.logged().includes('the secret: of'))
  })
})

describe('an issuer that lies', async () => {
  const liar = await startLiar()
  let now = Date.now()
  const clock = { now: () => new Date(now) }
  const use = (more: (configuration: Configuration) => void = () => {}) =>
    useAccounts(
      (configuration) => {
        openidOn(configuration, liar.url)
        more(configuration)
      },
      { clock },
    )
  const here = await use()
  const good = () => {
    const seconds = Math.floor(now / 1000)
    return {
      iss: liar.url,
      aud: 'holdfast',
      sub: 'x',
      iat: seconds,
      exp: seconds + 300,
      preferred_username: 'eve',
      groups: [],
    }
  }
  beforeEach(() => {
    now += 10 * 60_000
    Object.assign(liar, { claims: good(), header: { kid: 'one', alg: 'RS256' }, token: undefined })
    Object.assign(liar, { status: 200, userinfo: undefined })
  })

  /** A sign-in for which the issuer has said yes; gives the answer of the callback. */
  async function signIn({ browser = createBrowser(), answer = {} as Record<string, string>, at = here } = {}) {
    const begun = await browser.visit(`${at.url}/oidc/login?return=/device`)
    const asked = new URL(begun.headers.get('location')!)
    liar.claims = { nonce: asked.searchParams.get('nonce'), ...liar.claims }
    const query = new URLSearchParams({ code: randomUUID(), state: asked.searchParams.get('state')!, ...answer })
    const reply = await browser.visit(`${at.url}/oidc/callback?${query}`)
    return { asked, begun, reply, browser, page: reply.headers.has('location') ? '' : await reply.text() }
  }

  it('is believed where it tells the truth', async () => {
    const { asked, reply, begun, browser } = await signIn()
    assert.equal(reply.status, 303)
    assert.equal(reply.headers.get('location'), '/device')
    assert.equal(await nameOf(here, browser), 'eve')
    const parameters = Object.fromEntries(asked.searchParams)
    const { state, nonce, code_challenge, ...rest } = parameters
    assert.deepEqual(rest, {
      response_type: 'code',
      client_id: 'holdfast',
      redirect_uri: `${here.url}/oidc/callback`,
      scope: 'openid profile',
      code_challenge_method: 'S256',
    })
    const verifier = liar.forms.at(-1)!.get('code_verifier')!
    assert.equal(createHash('sha256').update(verifier).digest('base64url'), code_challenge)
    assert.equal(new Set([state, nonce, verifier]).size, 3)
    assert.match(begun.headers.get('set-cookie')!, /Max-Age=600; HttpOnly; SameSite=Lax$/)
    assert.ok(!begun.headers.get('set-cookie')!.includes(verifier))
  })

  const seconds = () => Math.floor(now / 1000)
  const lies: [name: string, () => void, RegExp][] = [
    ['another nonce', () => (liar.claims.nonce = 'another'), /another sign-in/],
    ['no nonce', () => (liar.claims.nonce = null), /another sign-in/],
    ['another issuer', () => (liar.claims.iss = 'https://another.example'), /another issuer/],
    ['another audience', () => (liar.claims.aud = 'another'), /another audience/],
    ['several audiences without a party', () => (liar.claims.aud = ['holdfast', 'another']), /another client/],
    ['another party', () => Object.assign(liar.claims, { aud: ['holdfast'], azp: 'another' }), /another client/],
    ['what has expired', () => (liar.claims.exp = seconds() - 61), /expired/],
    ['no end', () => delete liar.claims.exp, /expired/],
    ['what is not yet', () => (liar.claims.nbf = seconds() + 120), /not yet valid/],
    ['a later time', () => (liar.claims.iat = seconds() + 120), /another time/],
    ['no time', () => delete liar.claims.iat, /another time/],
    ['no subject', () => delete liar.claims.sub, /names nobody/],
    ['a subject that is no text', () => (liar.claims.sub = ['x']), /names nobody/],
    ['another subject in its userinfo', () => {
      delete liar.claims.groups
      liar.userinfo = { sub: 'victim', preferred_username: 'root' }
    }, /somebody else/],
    ['no ID token', () => (liar.token = { access_token: 'x' }), /no ID token/],
    ['something else for one', () => (liar.token = { id_token: 'eyJ.x.y' }), /no ID token/],
    ['a list', () => (liar.token = []), /no JSON object/],
    ['that the code is not good', () => (liar.status = 400), /answered 400/],
    ['a key that is not its own', () => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      liar.token = () => liar.sign(liar.claims, liar.header, privateKey)
    }, /not signed/],
    ['an unknown key', () => (liar.header = { kid: 'two', alg: 'RS256' }), /not signed/],
    ['a key that it brings along', () => {
      const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const header = { alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }), jku: `${liar.url}/keys` }
      liar.token = () => liar.sign(liar.claims, header, privateKey)
    }, /not signed/],
    ['none', () => (liar.token = () => `${liar.sign(liar.claims, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`), /no ID token|not signed/],
    ['HMAC by the secret', () => {
      liar.token = () => {
        const signed = liar.sign(liar.claims, { alg: 'HS256', kid: 'one' }).split('.').slice(0, 2).join('.')
        const secret = 'the secret: of "holdfast" & others'
        return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
      }
    }, /not signed/],
  ] // prettier-ignore
  for (const [name, lie, reason] of lies)
    it(`is not believed: ${name}`, async () => {
      const browser = createBrowser()
      const begun = await browser.visit(`${here.url}/oidc/login`)
      const asked = new URL(begun.headers.get('location')!).searchParams
      liar.claims = { ...good(), nonce: asked.get('nonce') }
      lie()
      if (typeof liar.token === 'function') liar.token = { id_token: (liar.token as () => string)() }
      const reply = await browser.visit(
        `${here.url}/oidc/callback?${new URLSearchParams({ code: 'c', state: asked.get('state')! })}`,
      )
      const page = await reply.text()
      assert.equal(reply.status, 403, page)
      assert.match(page, reason)
      assert.equal(await nameOf(here, browser), undefined)
    })

  it('does not choose where a browser goes in the end', async () => {
    const elsewhere = [
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '/%09/evil.example/..//evil',
      'javascript:alert(1)',
      '/\r\nSet-Cookie: a=b',
    ]
    for (const path of elsewhere) {
      const browser = createBrowser()
      const begun = await browser.visit(`${here.url}/oidc/login?return=${encodeURIComponent(path)}`)
      const asked = new URL(begun.headers.get('location')!)
      assert.equal(asked.origin, liar.url)
      liar.claims = { ...good(), nonce: asked.searchParams.get('nonce') }
      const query = new URLSearchParams({ code: randomUUID(), state: asked.searchParams.get('state')! })
      const reply = await browser.visit(`${here.url}/oidc/callback?${query}&return=https://evil.example`)
      assert.equal(reply.status, 303)
      assert.equal(new URL(reply.headers.get('location')!, here.url).origin, here.url, path)
      assert.ok(!reply.headers.get('location')!.startsWith('//'))
    }
  })

  it('does not write into pages and logs', async () => {
    const { page } = await signIn({ answer: { error: '<script>alert(1)</script>' } })
    assert.ok(!page.includes('<script'))
    liar.claims = { ...good(), sub: 'y', preferred_username: '"><script>alert(1)</script>' }
    const named = await signIn()
    assert.equal(named.reply.status, 403)
    assert.ok(!named.page.includes('<script'))
    const policy = named.reply.headers.get('content-security-policy')!
    assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/)
    const style = /<style>([^]*)<\/style>/.exec(named.page)![1]!
    assert.ok(policy.includes(createHash('sha256').update(style).digest('base64')))
    const open = await (await fetch(`${here.url}/sign-in?return=${encodeURIComponent('/"><script>')}`)).text()
    assert.ok(!open.includes('<script'))
    assert.match(open, /Sign in with single sign-on/)
  })

  it('is answered once for each parameter, in time, and with a code', async () => {
    const twice = await signIn({ answer: { 'state ': 'x' } })
    assert.equal(twice.reply.status, 303)
    const browser = createBrowser()
    const begun = await browser.visit(`${here.url}/oidc/login`)
    const state = new URL(begun.headers.get('location')!).searchParams.get('state')!
    for (const query of [
      `state=${state}&state=${state}&code=x`,
      `state=${state}`,
      `code=x`,
      `state=${state}x&code=x`,
      '',
    ])
      assert.equal((await browser.visit(`${here.url}/oidc/callback?${query}`)).status, 403, query)
    now += 11 * 60_000
    assert.equal((await browser.visit(`${here.url}/oidc/callback?state=${state}&code=x`)).status, 403)
  })

  it('that is away, or not public, keeps nobody from anything else', async () => {
    const guarded = await use((configuration) => (configuration.outgoing.allow = []))
    const reply = await fetch(`${guarded.url}/oidc/login`, { redirect: 'manual' })
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get('retry-after'), '5')
    assert.equal(await guarded.status('GET /', guarded.root), 200)
    liar.status = 500
    assert.equal((await signIn()).reply.status, 503)
  })

  it('is asked for by the name that the registry is called by, and no other', async () => {
    const named = await use((configuration) => (configuration.http.origin = 'https://registry.example.com'))
    const reply = await fetch(`${named.url}/oidc/login`, {
      redirect: 'manual',
      headers: { 'X-Forwarded-Host': 'evil.example' },
    })
    const asked = new URL(reply.headers.get('location')!)
    assert.equal(asked.searchParams.get('redirect_uri'), 'https://registry.example.com/oidc/callback')
    assert.match(reply.headers.get('set-cookie')!, /^__Host-holdfast-openid=.*; Secure$/)
  })
})
