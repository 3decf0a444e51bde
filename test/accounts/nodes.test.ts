import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { passwordOf, useAccounts } from '../support/accounts.ts'
import { createBrowser, type TestBrowser } from '../support/browser.ts'
import { openidOn, startLiar } from '../support/openid.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { createAuthenticator } from '../support/authenticator.ts'

describe('nodes on one PostgreSQL', { skip: withoutPostgres }, async () => {
  const postgres = await startPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-sessions-'))
  const databaseUrl = await postgres.createDatabase()
  const liar = await startLiar()
  const node = () =>
    useAccounts(
      (configuration) => {
        configuration.databaseUrl = databaseUrl
        // What both are called behind a balancer.
        configuration.http.origin = 'http://127.0.0.1:1'
        openidOn(configuration, liar.url)
      },
      { folder },
    )
  const [one, two] = [await node(), await node()]
  after(async () => {
    await Promise.all([one.close(0), two.close(0)])
    await postgres.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  /** As a balancer does: the next request goes to another node. */
  function balance(browser: TestBrowser) {
    let turn = 0
    return async (method: string, path: string, body?: object | URLSearchParams) => {
      const at = [one, two][turn++ % 2]!
      const cookie = [...browser.cookies].map(([key, value]) => `${key.split(' ')[1]}=${value}`).join('; ')
      const isForm = body instanceof URLSearchParams
      const reply = await fetch(at.url + path, {
        method,
        redirect: 'manual',
        headers: {
          ...{ Cookie: cookie, Origin: 'http://127.0.0.1:1', 'X-CSRF-Token': browser.cookies.get('csrf token') ?? '' },
          ...(body && !isForm && { 'Content-Type': 'application/json' }),
        },
        ...(body && { body: isForm ? body : JSON.stringify(body) }),
      })
      for (const line of reply.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        browser.cookies.set(`any ${name}`, value)
      }
      return reply
    }
  }

  it('know the same sessions, passkeys, devices and sign-ins under way', async () => {
    await one.addUser('ann')
    const browser = createBrowser()
    const ask = balance(browser)
    const json = async (reply: Response) => (await reply.json()) as Record<string, string>
    const signIn = { name: 'ann', password: passwordOf('ann') }
    assert.equal((await ask('POST', '/api/v1/session', signIn)).status, 204)
    for (let i = 0; i < 3; i++) assert.equal((await json(await ask('GET', '/api/v1/me'))).name, 'ann')
    browser.cookies.set('csrf token', (await json(await ask('GET', '/api/v1/session'))).csrfToken!)

    const device = createAuthenticator('http://127.0.0.1:1')
    const begun = await json(await ask('POST', '/api/v1/me/passkeys/begin'))
    const made = { name: 'x', ...device.create(begun.challenge!) }
    assert.equal((await ask('POST', '/api/v1/me/passkeys', made)).status, 201)
    const asked = await json(await ask('POST', '/api/v1/session/passkey/begin'))
    assert.equal((await ask('POST', '/api/v1/session/passkey', device.get(asked.challenge!))).status, 204)
    assert.equal((await json(await ask('GET', '/api/v1/session'))).by, 'passkey')

    const machine = await json(await ask('POST', '/device_authorization', new URLSearchParams()))
    const page = await (await ask('GET', `/device?user_code=${machine.user_code}`)).text()
    const csrf = /name="csrf" value="([\w-]+)"/.exec(page)![1]!
    const form = new URLSearchParams({ csrf, user_code: machine.user_code!, answer: 'allow' })
    assert.equal((await ask('POST', '/device', form)).status, 200)
    const grant = 'urn:ietf:params:oauth:grant-type:device_code'
    const poll = new URLSearchParams({ grant_type: grant, device_code: machine.device_code! })
    const both = await Promise.all([ask('POST', '/oauth2/token', poll), ask('POST', '/oauth2/token', poll)])
    assert.equal(both.filter(({ ok }) => ok).length, 1)

    const away = new URL((await ask('GET', '/oidc/login')).headers.get('location')!).searchParams
    const seconds = Math.floor(Date.now() / 1000)
    liar.claims = {
      iss: liar.url,
      aud: 'holdfast',
      sub: 'x',
      iat: seconds,
      exp: seconds + 300,
      nonce: away.get('nonce'),
    }
    liar.claims = { ...liar.claims, preferred_username: 'zoe', groups: [] }
    const back = new URLSearchParams({ code: 'x', state: away.get('state')! })
    assert.equal((await ask('GET', `/oidc/callback?${back}`)).status, 303)
    assert.equal((await json(await ask('GET', '/api/v1/session'))).name, 'zoe')
  })
})
