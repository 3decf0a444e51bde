import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { createAddressing } from '../../src/listen/addressing.ts'
import { defaultConfiguration } from '../support/defaults.ts'
import { localPath } from '../../src/features/accounts/sessions/origin.ts'
import { adminPassword, basic, passwordOf, useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { createBrowser, type TestBrowser } from '../support/browser.ts'

let now = Date.now()
const here = await useAccounts(() => {}, { clock: { now: () => new Date(now) } })
const session = `${here.url}/api/v1/session`
const json = (body: object) => ({ body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } })

async function signIn(name: string, password = passwordOf(name), browser = createBrowser()) {
  const { body, headers } = json({ name, password })
  const token = secretOf(browser) === undefined ? '' : await tokenOf(browser).catch(() => '')
  const own = { ...headers, 'X-CSRF-Token': token ?? '' }
  const reply = await browser.visit(session, { method: 'POST', from: here.url, body, headers: own })
  return { browser, reply }
}
const secretOf = (browser: TestBrowser) => browser.cookies.get(`${here.host} holdfast`)
async function tokenOf(browser: TestBrowser): Promise<string> {
  return ((await (await browser.visit(session)).json()) as { csrfToken: string }).csrfToken
}
const statusOf = async (browser: TestBrowser, path = '/me') => (await browser.visit(`${here.url}/api/v1${path}`)).status

describe('a session', () => {
  before(() => here.addUser('ann'))

  it('begins with the password and stands for the user in the API', async () => {
    const { browser, reply } = await signIn('ann')
    assert.equal(reply.status, 204)
    const cookie = reply.headers.get('set-cookie')!
    assert.match(cookie, /^holdfast=[\w-]{43}; Path=\/; Max-Age=604800; HttpOnly; SameSite=Lax$/)
    const me = (await (await browser.visit(`${here.url}/api/v1/me`)).json()) as { name: string }
    assert.equal(me.name, 'ann')
    const told = (await (await browser.visit(session)).json()) as Record<string, string>
    assert.deepEqual([told.name, told.by], ['ann', 'password'])
    assert.equal((await browser.visit(`${here.url}/api/v1/users`)).status, 403)
  })

  it('is none of /v2/', async () => {
    const { browser } = await signIn('ann')
    for (const path of ['/v2/', '/v2/ann/app/tags/list', '/v2/_catalog'])
      assert.equal((await browser.visit(here.url + path)).status, 401, path)
    const token = (await (await browser.visit(`${here.url}/token?scope=repository:ann/app:pull`)).text()) || ''
    assert.ok(!token.includes('"ann"'))
  })

  it('begins with nothing but a password', async () => {
    const { secret } = await here.must('POST /tokens', { as: here.user('ann'), body: { name: 'x' } })
    await here.must('PUT /orgs/acme', { body: {} })
    const robot = await here.addRobot('acme', 'ci', 'read')
    const [, robotSecret = ''] = Buffer.from(robot.slice(6), 'base64').toString().split(':')
    const wrong: [string, string][] = [
      ['ann', 'wrong'],
      ['ann', ''],
      ['ann', secret],
      ['robot.acme.ci', robotSecret],
      ['nobody', 'x'],
      ['', ''],
      ['ann:', passwordOf('ann')],
      ['acme', ''],
    ]
    for (const [name, password] of wrong) {
      const { browser, reply } = await signIn(name, password)
      assert.equal(reply.status, 401, `${name} ${password}`)
      assert.equal(((await reply.json()) as { detail: string }).detail, 'wrong user name or password')
      assert.equal(secretOf(browser), undefined)
    }
    now += 10 * 60_000
  })

  it('locks out who tries passwords', async () => {
    await here.addUser('bob')
    const statuses: number[] = []
    for (let i = 0; i < 7; i++) statuses.push((await signIn('bob', `wrong ${i}`)).reply.status)
    assert.equal(statuses.at(-1), 429)
    assert.equal((await signIn('bob')).reply.status, 429)
    now += 10 * 60_000
    assert.equal((await signIn('bob')).reply.status, 204)
  })

  it('is always a new one: what a browser brought before is not signed in (fixation)', async () => {
    const browser = createBrowser()
    const planted = 'A'.repeat(43)
    browser.cookies.set(`${here.host} holdfast`, planted)
    await signIn('ann', passwordOf('ann'), browser)
    const first = secretOf(browser)!
    assert.notEqual(first, planted)
    const thief = createBrowser()
    thief.cookies.set(`${here.host} holdfast`, planted)
    assert.equal(await statusOf(thief), 401)
    await signIn('ann', passwordOf('ann'), browser)
    assert.notEqual(secretOf(browser), first)
    thief.cookies.set(`${here.host} holdfast`, first)
    assert.equal(await statusOf(thief), 401)
    assert.equal(await statusOf(browser), 200)
  })

  it('of two cookies is neither', async () => {
    const { browser } = await signIn('ann')
    const cookie = `holdfast=${'B'.repeat(43)}; holdfast=${secretOf(browser)}`
    assert.equal((await fetch(`${here.url}/api/v1/me`, { headers: { Cookie: cookie } })).status, 401)
  })

  it('ends by sign-out', async () => {
    const { browser } = await signIn('ann')
    const secret = secretOf(browser)!
    const csrf = { 'X-CSRF-Token': await tokenOf(browser) }
    const reply = await browser.visit(session, { method: 'DELETE', from: here.url, headers: csrf })
    assert.equal(reply.status, 204)
    assert.equal(secretOf(browser), undefined)
    browser.cookies.set(`${here.host} holdfast`, secret)
    assert.equal(await statusOf(browser), 401)
  })

  it('ends with another password, and when the account is disabled', async () => {
    const { browser } = await signIn('ann')
    const change = { password: 'another password', current: passwordOf('ann') }
    await here.must('PUT /users/ann/password', { as: here.user('ann'), body: change })
    assert.equal(await statusOf(browser), 401)
    const again = await signIn('ann', 'another password')
    assert.equal(await statusOf(again.browser), 200)
    const set = async (isDisabled: boolean) => here.must('PUT /users/ann', { body: { isDisabled } })
    await set(true)
    assert.equal((await signIn('ann', 'another password')).reply.status, 401)
    await set(false)
    assert.equal(await statusOf(again.browser), 401)
    await here.must('PUT /users/ann', { body: { password: passwordOf('ann') } })
    now += 10 * 60_000
  })

  it('is listed with all others of its user, who ends those', async () => {
    await here.must('DELETE /users/ann/sessions')
    const browsers = [await signIn('ann'), await signIn('ann'), await signIn('ann')].map(({ browser }) => browser)
    const [own, second, third] = browsers as [TestBrowser, TestBrowser, TestBrowser]
    const list = async () => {
      const reply = await own.visit(`${here.url}/api/v1/users/ann/sessions`)
      return ((await reply.json()) as { items: Record<string, unknown>[] }).items
    }
    const end = async (browser: TestBrowser, path: string) => {
      const headers = { 'X-CSRF-Token': await tokenOf(browser) }
      const reply = await browser.visit(`${here.url}/api/v1${path}`, { method: 'DELETE', from: here.url, headers })
      return reply.status
    }
    const items = await list()
    assert.deepEqual(
      items.map(({ by, address, agent, isCurrent }) => [by, address, agent, isCurrent]).toSorted(),
      [false, false, true].map((isCurrent) => ['password', '127.0.0.1', 'node', isCurrent]),
    )
    assert.ok(!browsers.some((browser) => JSON.stringify(items).includes(secretOf(browser)!)))
    const current = items.find(({ isCurrent }) => isCurrent)!
    const [other] = items.filter(({ isCurrent }) => !isCurrent)
    await here.addUser('carl')
    const carl = (await signIn('carl')).browser
    for (const path of ['/users/ann/sessions', `/users/ann/sessions/${String(other!.id)}`])
      assert.equal(await end(carl, path), 403)
    assert.equal(await end(carl, `/users/carl/sessions/${String(other!.id)}`), 404)
    assert.equal(await statusOf(carl, '/users/ann/sessions'), 403)
    assert.equal((await list()).length, 3)

    assert.equal(await end(own, `/users/ann/sessions/${String(other!.id)}`), 204)
    assert.equal(await end(own, `/users/ann/sessions/${String(other!.id)}`), 404)
    assert.equal(
      [second, third].length -
        (await Promise.all([second, third].map((one) => statusOf(one)))).filter((s) => s === 401).length,
      1,
    )
    assert.equal(await end(own, '/users/ann/sessions'), 204)
    assert.deepEqual(await Promise.all([own, second, third].map((one) => statusOf(one))), [200, 401, 401])
    assert.deepEqual(
      (await list()).map(({ id }) => id),
      [current.id],
    )
    // An administrator ends them all; by credentials none is one's own.
    assert.equal((await here.must('GET /users/ann/sessions')).items[0].isCurrent, false)
    await here.must('DELETE /users/ann/sessions')
    assert.equal(await statusOf(own), 401)
    assert.equal(await statusOf(carl), 200)
    const ended = await eventually(async () => {
      const { items } = await here.must('GET /audit?action=session.ended&actor=root')
      return items.length > 0 && items[0]
    })
    assert.deepEqual(ended.detail, { of: 'ann' })
    assert.equal((await here.api('GET /users/acme/sessions')).status, 404)
  })

  it('stays where its user sets another password, as a new one, and all others end', async () => {
    const [own, other] = [(await signIn('ann')).browser, (await signIn('ann')).browser]
    const before = secretOf(own)!
    const body = { password: 'a third password', current: passwordOf('ann') }
    const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': await tokenOf(own) }
    const path = `${here.url}/api/v1/users/ann/password`
    const wrong = JSON.stringify({ ...body, current: 'wrong' })
    assert.equal((await own.visit(path, { method: 'PUT', from: here.url, headers, body: wrong })).status, 403)
    const reply = await own.visit(path, { method: 'PUT', from: here.url, headers, body: JSON.stringify(body) })
    assert.equal(reply.status, 204)
    assert.notEqual(secretOf(own), before)
    assert.deepEqual([await statusOf(own), await statusOf(other)], [200, 401])
    assert.equal((await here.must('GET /users/ann/sessions')).items.length, 1)
    const thief = createBrowser()
    thief.cookies.set(`${here.host} holdfast`, before)
    assert.equal(await statusOf(thief), 401)
    // What the operator does beside the registry ends them as well: they are not even listed.
    await here.must('PUT /users/ann', { body: { password: passwordOf('ann') } })
    assert.deepEqual([await statusOf(own), (await here.must('GET /users/ann/sessions')).items.length], [401, 0])
  })

  it('is one of a hundred at most: then the oldest ends', async () => {
    const first = (await signIn('ann')).browser
    now += 1000
    const rest: TestBrowser[] = []
    for (let i = 0; i < 99; i++) rest.push((await signIn('ann')).browser)
    assert.equal(await statusOf(first), 200)
    now += 1000
    await signIn('ann')
    assert.deepEqual([await statusOf(first), await statusOf(rest[0]!)], [401, 200])
    assert.equal((await here.must('GET /users/ann/sessions')).items.length, 100)
    await here.must('DELETE /users/ann/sessions')
  })

  it('is shown on the page, which ends those of other browsers', async () => {
    const [own, other] = [(await signIn('ann')).browser, createBrowser()]
    const page = async () => (await own.visit(`${here.url}/sign-in`)).text()
    assert.ok(!(await page()).includes('Sign out there'))
    const evil = { 'User-Agent': '<script>alert(1)</script>', 'Content-Type': 'application/json' }
    await other.visit(session, {
      method: 'POST',
      body: JSON.stringify({ name: 'ann', password: passwordOf('ann') }),
      headers: evil,
    })
    const text = await page()
    assert.match(text, /since \d{4}-\d\d-\d\d \d\d:\d\d UTC, from 127\.0\.0\.1: &lt;script&gt;alert\(1\)/)
    const fields = { csrf: /name="csrf" value="([^"]+)"/.exec(text)![1]!, where: 'elsewhere' }
    assert.equal((await own.submit(`${here.url}/sign-out`, { ...fields, csrf: 'x' })).status, 403)
    assert.equal(await statusOf(other), 200)
    assert.equal((await own.submit(`${here.url}/sign-out`, fields)).status, 303)
    assert.deepEqual([await statusOf(own), await statusOf(other)], [200, 401])
    const { csrf } = fields
    assert.equal((await own.submit(`${here.url}/sign-out`, { csrf })).status, 303)
    assert.equal(await statusOf(own), 401)
  })

  it('ends when nobody uses it, and a week after the sign-in in any case', async () => {
    const { browser } = await signIn('ann')
    for (let hours = 0; hours < 7 * 24 - 8; hours += 8) {
      now += 8 * 3_600_000
      assert.equal(await statusOf(browser), 200, `${hours}`)
    }
    now += 9 * 3_600_000
    assert.equal(await statusOf(browser), 401)
    const idle = await signIn('ann')
    now += 12 * 3_600_000 + 1000
    assert.equal(await statusOf(idle.browser), 401)
  })

  it('is in the audit log, without its secret', async () => {
    const { browser } = await signIn('ann')
    const secret = secretOf(browser)!
    const items = await eventually(async () => {
      const { items } = await here.must('GET /audit?action=session.began&actor=ann')
      return items.length > 0 && items
    })
    assert.equal(items[0].target, 'password')
    assert.ok((await here.must('GET /audit?action=session.ended')).items.length > 0)
    assert.ok(!here.logged().includes(secret) && !JSON.stringify(items).includes(secret))
  })
})

describe('a change by a session', () => {
  const body = { name: 'made by a page' }
  const tokens = `${here.url}/api/v1/tokens`
  const change = (browser: TestBrowser, headers: Record<string, string>) =>
    browser.visit(tokens, {
      method: 'POST',
      ...json(body),
      headers: { 'Content-Type': 'application/json', ...headers },
    })

  it('needs its token, and no page of another site', async () => {
    const { browser } = await signIn('ann')
    const token = await tokenOf(browser)
    const other = await tokenOf((await signIn('root', adminPassword)).browser)
    const refused: Record<string, string>[] = [
      {},
      { Origin: here.url },
      { Origin: here.url, 'X-CSRF-Token': '' },
      { Origin: here.url, 'X-CSRF-Token': other },
      { Origin: here.url, 'X-CSRF-Token': secretOf(browser)! },
      { Origin: 'https://evil.example', 'X-CSRF-Token': token },
      { Origin: 'null', 'X-CSRF-Token': token },
      { Origin: `${here.url}.evil.example`, 'X-CSRF-Token': token },
      { Origin: `http://127.0.0.1:${here.port + 1}`, 'X-CSRF-Token': token },
      { Origin: here.url, 'Sec-Fetch-Site': 'cross-site', 'X-CSRF-Token': token },
      { Origin: here.url, 'Sec-Fetch-Site': 'same-site', 'X-CSRF-Token': token },
      { 'Sec-Fetch-Site': 'none', 'X-CSRF-Token': token },
    ]
    for (const headers of refused) assert.equal((await change(browser, headers)).status, 403, JSON.stringify(headers))
    assert.equal((await here.must('GET /tokens', { as: here.user('ann') })).items.length, 1)
    const allowed = [
      { Origin: here.url, 'X-CSRF-Token': token },
      { Origin: here.url, 'Sec-Fetch-Site': 'same-origin', 'X-CSRF-Token': token },
    ]
    for (const headers of allowed) assert.equal((await change(browser, headers)).status, 201, JSON.stringify(headers))
  })

  it('is not had by another method, a form or a body of another type', async () => {
    const { browser } = await signIn('ann')
    const forged = { Origin: 'https://evil.example', 'Content-Type': 'text/plain' }
    for (const method of ['POST', 'PUT', 'DELETE'])
      assert.equal((await browser.visit(tokens, { method, body: '{}', headers: forged })).status, 403, method)
    const token = await tokenOf(browser)
    const disguised = { Origin: here.url, 'X-CSRF-Token': token, 'Content-Type': 'text/plain' }
    assert.equal(
      (await browser.visit(tokens, { method: 'POST', body: JSON.stringify(body), headers: disguised })).status,
      415,
    )
    const overridden = { 'X-HTTP-Method-Override': 'DELETE' }
    assert.equal((await browser.visit(session, { headers: overridden })).status, 200)
    assert.equal(await statusOf(browser), 200)
  })

  it('is not had by a password that the browser remembers either', async () => {
    const headers = { 'Content-Type': 'application/json', Authorization: here.user('ann') }
    const ask = (more: Record<string, string>) =>
      fetch(tokens, { method: 'POST', body: JSON.stringify(body), headers: { ...headers, ...more } })
    assert.equal((await ask({ Origin: 'https://evil.example' })).status, 403)
    assert.equal((await ask({ 'Sec-Fetch-Site': 'cross-site' })).status, 403)
    assert.equal((await ask({})).status, 201)
    const { secret } = await here.must('POST /tokens', { as: here.user('ann'), body: { name: 'y' } })
    const bearer = { Origin: 'https://app.example', Authorization: `Bearer ${secret}` }
    assert.equal((await ask(bearer)).status, 201) // no page can have it sent by a visitor
  })

  it('cannot be a sign-in of somebody else (login CSRF)', async () => {
    const browser = createBrowser()
    const forged = {
      method: 'POST',
      from: 'https://evil.example',
      ...json({ name: 'ann', password: passwordOf('ann') }),
    }
    assert.equal((await browser.visit(session, forged)).status, 403)
    assert.equal(browser.cookies.size, 0)
  })

  it('goes by credentials where both came', async () => {
    const { browser } = await signIn('root', adminPassword)
    const reply = await browser.visit(`${here.url}/api/v1/me`, { headers: { Authorization: here.user('ann') } })
    assert.equal(((await reply.json()) as { name: string }).name, 'ann')
    const wrong = { Authorization: basic('ann', 'wrong') }
    assert.equal((await browser.visit(`${here.url}/api/v1/me`, { headers: wrong })).status, 401)
  })
})

describe('where a browser may sign in', () => {
  it('is over TLS, with a cookie of this host alone, or on this machine', async () => {
    const proxied = await useAccounts((configuration) => (configuration.http.trustedProxies = ['127.0.0.1']))
    const ask = (proto: string, host: string) =>
      fetch(`${proxied.url}/api/v1/session`, {
        method: 'POST',
        ...json({ name: 'root', password: adminPassword }),
        headers: { 'Content-Type': 'application/json', 'X-Forwarded-Proto': proto, 'X-Forwarded-Host': host },
      })
    assert.equal((await ask('http', 'registry.example.com')).status, 403)
    assert.equal((await ask('http', 'localhost.evil.example')).status, 403)
    const reply = await ask('https', 'registry.example.com')
    assert.match(
      reply.headers.get('set-cookie')!,
      /^__Host-holdfast=[\w-]+; Path=\/; .*; HttpOnly; SameSite=Lax; Secure$/,
    )
  })

  it('ends on a path here', () => {
    for (const path of ['/', '/device', '/device?user_code=ABCD', '/a/b?x=/y']) assert.equal(localPath(path), path)
    const elsewhere = ['//evil.example', '/\\evil.example', 'https://evil.example', '/a\\b', '/\t/evil.example', 'evil']
    const odd = ['/..//evil.example', '/.//evil.example', '/%0d%0aSet-Cookie: x', '/a\r\nX: y', '', '/\u00e4', null]
    for (const path of [...elsewhere, ...odd]) assert.ok(['/', '/evil.example'].includes(localPath(path)), String(path))
  })
})

it("leaves another server's URL in Location as it is", () => {
  const { http } = defaultConfiguration()
  const addressing = createAddressing({ ...http, prefix: '/registry/', origin: 'https://registry.example.com' })!
  const headers = (location: string) =>
    addressing.headers({ headers: {}, socket: {} } as never, '/v2/a/blobs/x', ['Location', location])
  assert.deepEqual(headers('https://s3.example.com/x?y'), ['Location', 'https://s3.example.com/x?y'])
  assert.deepEqual(headers('/v2/x'), ['Location', 'https://registry.example.com/registry/v2/x'])
})
