import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { readCbor } from '../../src/features/accounts/passkeys/cbor.ts'
import { passwordOf, useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { cbor, createAuthenticator, type Lies } from '../support/authenticator.ts'
import { createBrowser } from '../support/browser.ts'

let now = Date.now()
const here = await useAccounts(() => {}, { clock: { now: () => new Date(now) } })
const api = `${here.url}/api/v1`

/** A browser with ways to ask the management API as a page does. */
function openBrowser() {
  const browser = createBrowser()
  let token = ''
  async function ask(method: string, path: string, body?: object) {
    const headers = { 'X-CSRF-Token': token, ...(body && { 'Content-Type': 'application/json' }) }
    const init = { method, headers, from: here.url, ...(body && { body: JSON.stringify(body) }) }
    const reply = await browser.visit(api + path, init)
    const text = await reply.text()
    return { status: reply.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, any>) } // oxlint-disable-line typescript/no-explicit-any
  }
  return {
    ...{ browser, ask },
    async signIn(name: string) {
      assert.equal((await ask('POST', '/session', { name, password: passwordOf(name) })).status, 204)
      token = (await ask('GET', '/session')).body.csrfToken as string
    },
    refresh: async () => void (token = (await ask('GET', '/session')).body.csrfToken ?? ''),
  }
}
type Page = ReturnType<typeof openBrowser>
type Authenticator = ReturnType<typeof createAuthenticator>

async function signedIn(name: string): Promise<Page> {
  const page = openBrowser()
  await page.signIn(name)
  return page
}
async function register(page: Page, device: Authenticator, lies: Lies = {}) {
  const { body } = await page.ask('POST', '/me/passkeys/begin')
  return page.ask('POST', '/me/passkeys', { name: 'laptop', ...device.create(body.challenge as string, lies) })
}
async function enter(page: Page, device: Authenticator, lies: Lies = {}, more: object = {}) {
  const { body } = await page.ask('POST', '/session/passkey/begin')
  return page.ask('POST', '/session/passkey', { ...device.get(body.challenge as string, lies), ...more })
}
const nameOf = async (page: Page) => (await page.ask('GET', '/me')).body.name as string | undefined

describe('a passkey', () => {
  before(async () => {
    for (const name of ['ann', 'bob']) await here.addUser(name)
  })

  for (const kind of ['ec', 'ed25519', 'rsa'] as const)
    it(`is added by a session, and signs in (${kind})`, async () => {
      const device = createAuthenticator(here.url, kind)
      const page = await signedIn('ann')
      const { body: asked } = await page.ask('POST', '/me/passkeys/begin')
      assert.deepEqual([asked.rp.id, asked.user.name, asked.attestation], ['127.0.0.1', 'ann', 'none'])
      const made = await register(page, device)
      assert.equal(made.status, 201, JSON.stringify(made.body))
      assert.deepEqual([made.body.name, made.body.credential], ['laptop', device.id])
      const other = openBrowser()
      const { body: begun } = await other.ask('POST', '/session/passkey/begin')
      assert.deepEqual([begun.rpId, begun.userVerification, begun.allowCredentials], ['127.0.0.1', 'required', []])
      const entered = await enter(other, device, {}, { userHandle: asked.user.id })
      assert.equal(entered.status, 204, JSON.stringify(entered.body))
      assert.equal(await nameOf(other), 'ann')
      assert.equal((await other.ask('GET', '/session')).body.by, 'passkey')
    })

  it('is listed and removed by its owner alone', async () => {
    const [ann, bob] = [await signedIn('ann'), await signedIn('bob')]
    const { items } = (await ann.ask('GET', '/me/passkeys')).body
    assert.equal(items.length, 3)
    assert.ok(!JSON.stringify(items).includes('publicKey'))
    assert.deepEqual((await bob.ask('GET', '/me/passkeys')).body.items, [])
    assert.equal((await bob.ask('DELETE', `/me/passkeys/${items[0].id}`)).status, 404)
    assert.equal((await ann.ask('DELETE', `/me/passkeys/${items[0].id}`)).status, 204)
    assert.equal((await ann.ask('DELETE', `/me/passkeys/${items[0].id}`)).status, 404)
    assert.equal((await ann.ask('GET', '/me/passkeys')).body.items.length, 2)
  })

  const lies: [string, Lies, RegExp][] = [
    ['for a page of another site', { origin: 'https://evil.example' }, /another site asked/],
    ['for another port', { origin: 'http://127.0.0.1:1' }, /another site asked/],
    ['for another site', { rpId: 'evil.example' }, /for another site/],
    ['for another ceremony', { type: 'payment.get' }, /it is no webauthn/],
    ['for another challenge', { challenge: 'x' }, /another challenge/],
    ['in a frame', { crossOrigin: true }, /frame/],
    ['without anybody there', { flags: 0x44 }, /nobody was there/],
    ['without looking who is there', { flags: 0x41 }, /did not look/],
    ['with more than there should be', { more: Buffer.from([0]) }, /more than/],
  ]
  for (const [name, lie, reason] of lies)
    it(`is refused: ${name}`, async () => {
      const page = await signedIn('bob')
      const added = await register(page, createAuthenticator(here.url), lie)
      assert.equal(added.status, 422)
      assert.match(added.body.detail as string, reason)
      const device = createAuthenticator(here.url)
      assert.equal((await register(page, device)).status, 201)
      const other = openBrowser()
      const flags = lie.flags === undefined ? {} : { flags: lie.flags & ~0x40 }
      const entered = await enter(other, device, { ...lie, ...flags })
      assert.equal(entered.status, 401)
      assert.match(entered.body.detail as string, reason)
      assert.equal(await nameOf(other), undefined)
      const { items } = (await page.ask('GET', '/me/passkeys')).body
      assert.equal((await page.ask('DELETE', `/me/passkeys/${items[0].id}`)).status, 204)
      now += 10 * 60_000
    })

  it('signs for itself, and for its account', async () => {
    const device = createAuthenticator(here.url)
    await register(await signedIn('bob'), device)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const page = openBrowser()
    assert.match((await enter(page, device, { key: privateKey })).body.detail as string, /signature/)
    assert.match((await enter(page, createAuthenticator(here.url))).body.detail as string, /not known/)
    assert.match((await enter(page, device, {}, { userHandle: 'AAAA' })).body.detail as string, /somebody else/)
    assert.match((await enter(page, device, {}, { signature: 'AAAA' })).body.detail as string, /signature/)
    assert.match((await enter(page, device, {}, { clientDataJSON: 'AAAA' })).body.detail as string, /read/)
    assert.equal(await nameOf(page), undefined)
    now += 10 * 60_000
  })

  it('answers a challenge once, in time, in the browser that was asked', async () => {
    const device = createAuthenticator(here.url)
    const owner = await signedIn('bob')
    await register(owner, device)
    const page = openBrowser()
    const { body } = await page.ask('POST', '/session/passkey/begin')
    const given = device.get(body.challenge as string)
    const kept = new Map(page.browser.cookies)
    assert.equal((await openBrowser().ask('POST', '/session/passkey', given)).status, 401) // another browser
    assert.equal((await page.ask('POST', '/session/passkey', given)).status, 204)
    const thief = openBrowser()
    for (const [key, value] of kept) thief.browser.cookies.set(key, value)
    assert.match((await thief.ask('POST', '/session/passkey', given)).body.detail as string, /used before/)
    const late = openBrowser()
    const { body: asked } = await late.ask('POST', '/session/passkey/begin')
    now += 5 * 60_000 + 1000
    assert.equal((await late.ask('POST', '/session/passkey', device.get(asked.challenge as string))).status, 401)
    now += 10 * 60_000
  })

  it('is added by the session that asked, once, soon after its sign-in', async () => {
    const [ann, bob] = [await signedIn('ann'), await signedIn('bob')]
    const device = createAuthenticator(here.url)
    const challenge = (await ann.ask('POST', '/me/passkeys/begin')).body.challenge as string
    const body = { name: 'x', ...device.create(challenge) }
    assert.match((await bob.ask('POST', '/me/passkeys', body)).body.detail as string, /not of this session/)
    assert.equal((await ann.ask('POST', '/me/passkeys', body)).status, 201)
    assert.equal((await ann.ask('POST', '/me/passkeys', body)).status, 422)
    const again = await register(await signedIn('bob'), device)
    assert.match(again.body.detail as string, /known already/)
    now += 16 * 60_000
    assert.equal((await ann.ask('POST', '/me/passkeys/begin')).status, 403)
    const byPassword = await here.api('POST /me/passkeys/begin', { as: here.user('ann') })
    assert.equal(byPassword.status, 403)
    const foreign = { method: 'POST', from: 'https://evil.example' }
    assert.equal((await ann.browser.visit(`${api}/me/passkeys/begin`, foreign)).status, 403)
  })

  it('that counts is refused when somebody has a copy', async () => {
    const device = createAuthenticator(here.url)
    device.counts(5)
    await register(await signedIn('bob'), device)
    assert.equal((await enter(openBrowser(), device)).status, 204)
    const copy = await enter(openBrowser(), device, { counter: 6 })
    assert.match(copy.body.detail as string, /copy/)
    assert.equal((await enter(openBrowser(), device, { counter: 0 })).status, 401)
    assert.equal((await enter(openBrowser(), device)).status, 204)
    now += 10 * 60_000
  })

  it('is none of an account that is disabled, or that another one follows under its name', async () => {
    await here.addUser('eve')
    const device = createAuthenticator(here.url)
    await register(await signedIn('eve'), device)
    assert.equal((await enter(openBrowser(), device)).status, 204)
    await here.must('PUT /users/eve', { body: { isDisabled: true } })
    assert.equal((await enter(openBrowser(), device)).status, 401)
    await here.must('DELETE /users/eve')
    now += 1000
    await here.addUser('eve')
    assert.equal((await enter(openBrowser(), device)).status, 401)
    assert.deepEqual((await (await signedIn('eve')).ask('GET', '/me/passkeys')).body.items, [])
    now += 10 * 60_000
  })

  it('of nonsense is no error of ours', async () => {
    const page = await signedIn('ann')
    const device = createAuthenticator(here.url)
    const challengeOf = async () => (await page.ask('POST', '/me/passkeys/begin')).body.challenge as string
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    const part = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
    const keys = [
      new Map(),
      new Map([[1, 2]]),
      new Map<number, number | Buffer>([[1, 2], [3, -7], [-1, 1], [-2, Buffer.alloc(32)], [-3, Buffer.alloc(32)]]),
      new Map<number, number | Buffer>([[1, 2], [3, -257], [-1, 1], [-2, Buffer.alloc(32)], [-3, Buffer.alloc(32)]]),
      new Map<number, number | Buffer>([[1, 3], [3, -257], [-1, part(small.n)], [-2, part(small.e)]]),
    ] // prettier-ignore
    for (const key of keys) {
      const body = { name: 'x', ...device.create(await challengeOf(), {}, key as never) }
      assert.equal((await page.ask('POST', '/me/passkeys', body)).status, 422)
    }
    const whole = device.create('x').attestationObject
    const texts = ['', 'AA', '_w', 'n58', whole.slice(0, -8), `${whole}AAAA`, 'X19fX19f', 'o2Nmb3Q']
    for (const attestationObject of texts) {
      const body = { name: 'x', ...device.create(await challengeOf()), attestationObject }
      assert.equal((await page.ask('POST', '/me/passkeys', body)).status, 422, attestationObject)
    }
  })

  it('is in the audit log', async () => {
    const items = await eventually(async () => {
      const { items } = await here.must('GET /audit?action=passkey.added&actor=ann')
      return items.length > 0 && items
    })
    assert.equal(items[0].actor, 'ann')
    for (const action of ['passkey.removed', 'sign-in.failed', 'session.began'])
      assert.ok((await here.must(`GET /audit?action=${action}`)).items.length > 0, action)
  })
})

describe('CBOR', () => {
  it('is read as it is written', () => {
    const items = [0, 23, 24, 255, 256, -1, -257, '', 'é', Buffer.from([1, 2]), [1, [2]], new Map([['a', 1]]), true]
    for (const item of items) assert.deepEqual(readCbor(cbor(item as never)).value, item)
    assert.equal(readCbor(Buffer.from('1a00010000', 'hex')).value, 65_536)
  })

  it('is refused in any other form', () => {
    const odd = [
      '',
      '18',
      '1b0000000000000001',
      '5f',
      '9f00ff',
      'bf',
      'f7',
      'f97e00',
      'c000',
      '4201',
      '6261',
      'a20101',
      'a2010101',
      'a201010102',
      'a1a00000',
    ]
    for (const hex of [...odd, '81'.repeat(100), '9affffffff', 'baffffffff', '5affffffff'])
      assert.throws(() => readCbor(Buffer.from(hex, 'hex')), hex)
  })
})
