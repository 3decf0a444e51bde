import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { adminPassword, basic, passwordOf, useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { createBrowser, type TestBrowser } from '../support/browser.ts'
import { openidOn, startLiar } from '../support/openid.ts'
import { tokensOn } from '../tokens/tools.ts'

const grant = 'urn:ietf:params:oauth:grant-type:device_code'
let now = Date.now()
const clock = { now: () => new Date(now) }
const here = await useAccounts((configuration) => void (configuration.tokens = { ...tokensOn }), { clock })
type Here = typeof here

interface Answer {
  status: number
  headers: Headers
  body: Record<string, string | number>
}

async function post(url: string, form: Record<string, string>): Promise<Answer> {
  const reply = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  return { status: reply.status, headers: reply.headers, body: (await reply.json()) as Answer['body'] }
}
async function begin(at: Here = here, more: Record<string, string> = { device_name: 'laptop' }) {
  const { status, body } = await post(`${at.url}/device_authorization`, { client_id: 'holdfast', ...more })
  assert.equal(status, 200, JSON.stringify(body))
  return { secret: String(body.device_code), code: String(body.user_code), body }
}
const redeem = (secret: string, at: Here = here) =>
  post(`${at.url}/oauth2/token`, { grant_type: grant, device_code: secret, client_id: 'holdfast' })
/** The same when it may be asked again. */
const later = (secret: string, at: Here = here) => {
  now += 5000
  return redeem(secret, at)
}

async function signedIn(name: string, password = passwordOf(name), at: Here = here) {
  const browser = createBrowser()
  const reply = await browser.submit(`${at.url}/sign-in`, { name, password, return: '/device' })
  assert.equal(reply.status, 303)
  return browser
}
const look = async (browser: TestBrowser, code: string, at: Here = here) => {
  const reply = await browser.visit(`${at.url}/device?user_code=${encodeURIComponent(code)}`)
  const page = await reply.text()
  return { status: reply.status, page, csrf: /name="csrf" value="([\w-]+)"/.exec(page)?.[1] ?? '' }
}
async function answer(browser: TestBrowser, code: string, what = 'allow', at: Here = here) {
  const { csrf } = await look(browser, code, at)
  const reply = await browser.submit(`${at.url}/device`, { csrf, user_code: code, answer: what })
  await reply.arrayBuffer()
  return reply.status
}

describe('a device', () => {
  before(() => here.addUser('ann'))

  it('is signed in by who types its code', async () => {
    const { secret, code, body } = await begin()
    assert.match(code, /^[B-Z]{4}-[B-Z]{4}$/)
    assert.deepEqual(
      [body.verification_uri, body.verification_uri_complete, body.expires_in, body.interval],
      [`${here.url}/device`, `${here.url}/device?user_code=${code}`, 600, 5],
    )
    assert.deepEqual((await redeem(secret)).body.error, 'authorization_pending')
    const browser = await signedIn('ann')
    const { page } = await look(browser, code.toLowerCase().replace('-', ' '))
    assert.match(page, /calls itself\s+<strong>laptop<\/strong>, at the address 127\.0\.0\.1/)
    assert.ok(page.includes(code))
    assert.equal(await answer(browser, code), 200)
    const { status, headers, body: made } = await later(secret)
    assert.equal(status, 200)
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.match(String(made.access_token), /^holdfast_pat_/)
    const me = await here.must('GET /me', { as: `Bearer ${made.access_token}` })
    assert.deepEqual([me.name, me.token.name], ['ann', 'login from laptop'])
    assert.equal(await here.status('GET /', basic('any', String(made.access_token))), 200)
    assert.equal((await later(secret)).body.error, 'invalid_grant')
  })

  it('has its token once, however many ask', async () => {
    const { secret, code } = await begin()
    await answer(await signedIn('ann'), code)
    now += 5000
    const all = await Promise.all(Array.from({ length: 5 }, () => redeem(secret)))
    assert.equal(all.filter(({ status }) => status === 200).length, 1)
  })

  it('asks no more often than it may', async () => {
    const { secret } = await begin()
    await later(secret)
    assert.equal((await redeem(secret)).body.error, 'slow_down')
    assert.equal((await later(secret)).body.error, 'authorization_pending')
  })

  it('is refused by who did not begin that, and then by nobody let in', async () => {
    const { secret, code } = await begin()
    const browser = await signedIn('ann')
    assert.equal(await answer(browser, code, 'refuse'), 200)
    assert.equal(await answer(browser, code), 403) // there is no form of it any more
    assert.equal((await look(browser, code)).status, 404)
    assert.deepEqual((await later(secret)).body.error, 'access_denied')
  })

  it('waits ten minutes, no longer', async () => {
    const { secret, code } = await begin()
    now += 10 * 60_000
    const browser = await signedIn('ann')
    assert.equal((await look(browser, code)).status, 404)
    assert.equal((await redeem(secret)).body.error, 'invalid_grant')
  })

  it('is none of an account that was disabled, or has another password, meanwhile', async () => {
    await here.addUser('bob')
    const first = await begin()
    await answer(await signedIn('bob'), first.code)
    const change = { password: 'another password', current: passwordOf('bob') }
    await here.must('PUT /users/bob/password', { as: here.user('bob'), body: change })
    assert.equal((await later(first.secret)).body.error, 'access_denied')
    const second = await begin()
    await answer(await signedIn('bob', 'another password'), second.code)
    await here.must('PUT /users/bob', { body: { isDisabled: true } })
    assert.equal((await later(second.secret)).body.error, 'access_denied')
  })

  it('is not let in by a page of another site, or without a session', async () => {
    const { secret, code } = await begin()
    const browser = await signedIn('ann')
    const { csrf, page } = await look(browser, code)
    assert.ok(!page.includes(secret))
    const device = `${here.url}/device`
    const fields = { csrf, user_code: code, answer: 'allow' }
    assert.equal((await browser.submit(device, fields, 'https://evil.example')).status, 403)
    assert.equal((await browser.submit(device, fields, 'null')).status, 403)
    assert.equal((await browser.submit(device, { ...fields, csrf: '' })).status, 403)
    const { csrf: others } = await look(await signedIn('root', adminPassword), code)
    assert.equal((await browser.submit(device, { ...fields, csrf: others })).status, 403)
    assert.equal((await browser.visit(`${device}?${new URLSearchParams(fields)}`)).status, 200) // a GET asks again
    const stranger = await createBrowser().submit(device, fields)
    assert.equal(stranger.headers.get('location'), `/sign-in?return=${encodeURIComponent(`/device?user_code=${code}`)}`)
    const withPassword = await fetch(device, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { Authorization: here.user('ann') },
      redirect: 'manual',
    })
    assert.equal(withPassword.status, 303)
    assert.equal((await later(secret)).body.error, 'authorization_pending')
  })

  it('cannot be found by trying codes', async () => {
    await here.addUser('eve')
    const { code } = await begin()
    const browser = await signedIn('eve')
    const statuses: number[] = []
    for (let i = 0; i < 7; i++) statuses.push((await look(browser, `BBBB-BBB${'BCDFGHJ'[i]}`)).status)
    assert.deepEqual([statuses[0], statuses.at(-1)], [404, 429])
    assert.equal((await look(browser, code)).status, 429)
    assert.equal((await look(await signedIn('ann'), code)).status, 200)
    now += 10 * 60_000
  })

  it('says nothing that becomes part of a page, a log or a terminal', async () => {
    const { code } = await begin(here, { device_name: '<script>alert(1)</script>"\'' })
    const { page } = await look(await signedIn('ann'), code)
    assert.ok(!page.includes('<script'))
    assert.match(page, /&lt;script&gt;/)
    const odd = { device_name: 'a\nb' }
    assert.equal((await post(`${here.url}/device_authorization`, odd)).body.error, 'invalid_request')
    for (const expires_in_days of ['0', '366', '-1', 'x', '1e3'])
      assert.equal((await post(`${here.url}/device_authorization`, { expires_in_days })).status, 400)
    for (const secret of ['', 'x', '../', 'A'.repeat(43), '\0'])
      assert.equal((await redeem(secret)).body.error, 'invalid_grant')
  })

  it('is one of a few from an address', async () => {
    const statuses: number[] = []
    for (let i = 0; i < 31; i++) statuses.push((await post(`${here.url}/device_authorization`, {})).status)
    assert.equal(statuses.at(-1), 429)
    now += 11 * 60_000
    assert.equal((await post(`${here.url}/device_authorization`, {})).status, 200)
  })

  it('is in the audit log', async () => {
    const items = await eventually(async () => {
      const { items } = await here.must('GET /audit?action=device.allowed&actor=ann')
      return items.length > 0 && items
    })
    assert.equal(items[0].target, 'laptop')
    assert.ok((await here.must('GET /audit?action=device.refused')).items.length > 0)
  })

  it('is signed in by a session of OpenID Connect as well, and where the token service is off', async () => {
    const liar = await startLiar()
    const at = await useAccounts((configuration) => openidOn(configuration, liar.url), { clock })
    const { secret, code } = await begin(at)
    const browser = createBrowser()
    const begun = await browser.visit(`${at.url}/device?user_code=${code}`)
    const login = new URL(begun.headers.get('location')!, at.url)
    const page = await (await browser.visit(login)).text()
    const link = /href="([^"]+)"/.exec(page)![1]!.replaceAll('&amp;', '&')
    const asked = new URL((await browser.visit(new URL(link, at.url))).headers.get('location')!).searchParams
    const [nonce, seconds] = [asked.get('nonce'), Math.floor(now / 1000)]
    liar.claims = { iss: liar.url, aud: 'holdfast', sub: 'x', iat: seconds, exp: seconds + 300, nonce }
    liar.claims = { ...liar.claims, preferred_username: 'zoe', groups: [] }
    const query = new URLSearchParams({ code: 'x', state: asked.get('state')! })
    const back = await browser.visit(`${at.url}/oidc/callback?${query}`)
    assert.equal(back.headers.get('location'), `/device?user_code=${code}`)
    assert.equal(await answer(browser, code, 'allow', at), 200)
    const { body } = await later(secret, at)
    assert.equal((await at.must('GET /me', { as: `Bearer ${body.access_token}` })).name, 'zoe')
    assert.equal(
      (await post(`${at.url}/oauth2/token`, { grant_type: 'password' })).body.error,
      'unsupported_grant_type',
    )
  })
})

describe('holdfast login without a name', () => {
  it('tells a code, and keeps the token that it is given', async () => {
    const at = await useAccounts()
    await at.addUser('ann')
    const env = { ...process.env, DOCKER_CONFIG: join(at.folder, 'docker'), XDG_CONFIG_HOME: join(at.folder, 'config') }
    const main = join(import.meta.dirname, '../../src/main.ts')
    const start = (...args: string[]) => spawn(process.execPath, [main, ...args], { env, timeout: 60_000 })
    const child = start('login', at.host)
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.stdin.end()
    const ended = once(child, 'close')
    const code = await eventually(() => /[B-Z]{4}-[B-Z]{4}/.exec(errors)?.[0])
    assert.ok(errors.includes(`${at.url}/device`))
    await answer(await signedIn('ann', passwordOf('ann'), at), code, 'allow', at)
    assert.deepEqual((await ended)[0], 0, errors)
    assert.match(errors, /Signed in to \S+ as ann/)
    const config = JSON.parse(await readFile(join(at.folder, 'docker/config.json'), 'utf8')) as {
      auths: Record<string, { auth: string }>
    }
    const kept = Buffer.from(config.auths[at.host]!.auth, 'base64').toString()
    assert.match(kept, /^ann:holdfast_pat_/)
    const out = start('logout', at.host)
    await once(out, 'close')
    assert.equal((await at.must('GET /tokens', { as: at.user('ann') })).items.length, 0)
  })
})
