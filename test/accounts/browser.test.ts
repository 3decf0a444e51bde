import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { adminPassword, basic, passwordOf, useAccounts } from '../support/accounts.ts'
import { type ChromiumPage, startChromium } from '../support/browser.ts'
import { createAuthority } from '../support/certificates.ts'
import { need } from '../support/programs.ts'

/** In a page of the registry: asks the management API as scripts of ours would. */
const ask = `async (method, path, body) => {
  const { csrfToken = '' } = await (await fetch('/api/v1/session')).json()
  const headers = { 'X-CSRF-Token': csrfToken, ...(body && { 'Content-Type': 'application/json' }) }
  const reply = await fetch('/api/v1' + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  const text = await reply.text()
  return { status: reply.status, body: text && JSON.parse(text) }
}`

const addPasskey = `(async () => {
  const ask = ${ask}
  const { status, body } = await ask('POST', '/me/passkeys/begin')
  if (status !== 200) return { status, body }
  const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(body) })
  const { clientDataJSON, attestationObject } = made.toJSON().response
  return ask('POST', '/me/passkeys', { name: 'laptop', challenge: body.challenge, clientDataJSON, attestationObject })
})()`

const enter = `(async () => {
  const ask = ${ask}
  const { body } = await ask('POST', '/session/passkey/begin')
  const found = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(body) })
  const { id, response } = found.toJSON()
  const { clientDataJSON, authenticatorData, signature, userHandle } = response
  return ask('POST', '/session/passkey', { credential: id, clientDataJSON, authenticatorData, signature, userHandle })
})()`

const present = {
  ...{ protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true },
  ...{ isUserVerified: true, automaticPresenceSimulation: true },
}

describe('in a real browser', { skip: need('chromium', 'openssl') }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-browser-'))
  const source = await (await createAuthority(folder)).issue('registry')
  const data = { folder: join(folder, 'secure') }
  const begun = await useAccounts(undefined, data)
  await begun.addUser('ann')
  await begun.close()
  /** One with TLS, and one on this machine without. */
  const secure = await useAccounts(({ http }) => {
    http.tls = { source, minVersion: 'TLSv1.2', cipherSuites: [], clientCas: [], clientAuth: 'verify-if-given' }
  }, data)
  const plain = await useAccounts()
  await plain.addUser('ann')
  const [safe, local] = [`https://localhost:${secure.port}`, `http://localhost:${plain.port}`]
  const { publicKey } = new X509Certificate(await readFile(source.certificate))
  const spki = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
  const chromium = await startChromium([spki])
  after(async () => {
    await chromium.close()
    await secure.close(0)
    await rm(folder, { recursive: true })
  })

  /** Signs in on the page, wherever that leads. */
  const signIn = (page: ChromiumPage) => page.press('Sign in', { name: 'ann', password: passwordOf('ann') })

  it('somebody signs in by password, adds a passkey, signs out, and signs in with that', async () => {
    const page = await chromium.newPage()
    await page.send('WebAuthn.enable')
    await page.send('WebAuthn.addVirtualAuthenticator', { options: present })
    await page.open(`${safe}/sign-in`)
    await page.press('Sign in', { name: 'ann', password: 'wrong' })
    assert.match(await page.text(), /Wrong user name or password\./)
    await signIn(page)
    assert.match(await page.text(), /You are signed in as ann\./)
    await page.open(`${safe}/`) // a page that lets scripts of ours run
    const added = await page.evaluate<{ status: number; body: { name: string } }>(addPasskey)
    assert.deepEqual([added.status, added.body.name], [201, 'laptop'])
    await assert.rejects(page.evaluate(addPasskey), /InvalidStateError/, 'it has one already')

    await page.open(`${safe}/sign-in`)
    await page.press('Sign out')
    assert.equal(await page.address(), `${safe}/sign-in`)
    assert.ok(!(await page.text()).includes('signed in'))
    await page.open(`${safe}/`)
    const refused = await page.evaluate<{ status: number }>(addPasskey)
    assert.equal(refused.status, 401)
    assert.deepEqual(await page.evaluate(enter), { status: 204, body: '' })
    await page.open(`${safe}/sign-in`)
    assert.match(await page.text(), /You are signed in as ann\./)
  })

  it('the cookie is for this host alone, over TLS, and hidden from scripts', async () => {
    const page = await chromium.newPage()
    await page.open(`${safe}/sign-in`)
    await signIn(page)
    const { cookies } = await page.send<{ cookies: Record<string, unknown>[] }>('Network.getCookies')
    assert.deepEqual(
      cookies.map(({ name, domain, path, secure, httpOnly, sameSite }) => [
        name,
        domain,
        path,
        secure,
        httpOnly,
        sameSite,
      ]),
      [['__Host-holdfast', 'localhost', '/', true, true, 'Lax']],
    )
    const days = (Number(cookies[0]!.expires) - Date.now() / 1000) / 86_400
    assert.ok(days > 6.9 && days <= 7)
    assert.equal(await page.evaluate('document.cookie'), '')
    await page.press('Sign out')
    assert.deepEqual(await page.send('Network.getCookies'), { cookies: [] })
  })

  it('somebody lets a device in', async () => {
    const begun = await plain.registry('GET /') // the origin that browsers use is another name of this machine
    assert.equal(begun.status, 401)
    const form = new URLSearchParams({ device_name: 'laptop' })
    const device = await (await fetch(`${local}/device_authorization`, { method: 'POST', body: form })).json()
    const { verification_uri_complete: where, device_code: code } = device as Record<string, string>
    const page = await chromium.newPage()
    await page.open(where!)
    assert.match(await page.address(), /\/sign-in\?return=/)
    await signIn(page)
    assert.equal(await page.address(), where)
    assert.match(await page.text(), /A device that calls itself laptop, at the address 127\.0\.0\.1,/)
    await page.press('Let it in')
    assert.match(await page.text(), /laptop is signed in: go back to it\./)
    const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code! }
    const reply = await fetch(`${local}/oauth2/token`, { method: 'POST', body: new URLSearchParams(grant) })
    const { access_token: token } = (await reply.json()) as { access_token: string }
    assert.equal(await plain.status('GET /', basic('ann', token)), 200)
  })

  it('a page of another origin does nothing for its visitor', async () => {
    // Of the same site, so that the browser sends the cookie along: ports make no difference to sites.
    const evil = createServer((_, response) =>
      response.setHeader('Content-Type', 'text/html').end('<title>evil</title>'),
    )
    evil.listen(0, '127.0.0.1')
    await once(evil, 'listening')
    const { port } = evil.address() as AddressInfo
    try {
      const page = await chromium.newPage()
      await page.open(`${local}/sign-in`)
      await signIn(page)
      const csrf = await page.evaluate<string>(`document.querySelector('[name=csrf]').value`)
      const elsewhere = `http://127.0.0.1:${port}`
      for (const from of [`http://localhost:${port}`, elsewhere])
        for (const [action, fields] of [
          ['/sign-out', {}],
          ['/sign-out', { csrf }],
          ['/sign-out', { csrf, where: 'elsewhere' }],
          ['/sign-in', { name: 'root', password: adminPassword }],
          ['/device', { csrf, user_code: 'BCDF-GHJK', answer: 'allow' }],
          ['/api/v1/session', { '{"name":"root","x': '":"y"}' }],
        ] as [string, Record<string, string>][]) {
          await page.open(from)
          await page.leadsOn(`(() => {
            const form = Object.assign(document.createElement('form'), { method: 'post', action: '${local}${action}' })
            for (const [name, value] of Object.entries(${JSON.stringify(fields)}))
              form.append(Object.assign(document.createElement('input'), { name, value }))
            document.body.append(form)
            form.submit()
          })()`)
          const text = await page.text()
          // That came without the cookie, so there was nothing to sign out of, or to let in as.
          if (from === elsewhere && ['/sign-out', '/device'].includes(action))
            assert.match(text, /You are signed in as ann/)
          else assert.match(text, /a page of another site may not do this here/i, `${from} ${action}`)
        }
      // Nor do its scripts: they read nothing, and send nothing that changes something.
      await page.open(`http://localhost:${port}`)
      const attempt = (init: string) =>
        page.evaluate(`fetch('${local}/api/v1/session', ${init}).then((reply) => reply.type, () => 'refused')`)
      assert.equal(await attempt(`{ credentials: 'include' }`), 'refused')
      assert.equal(await attempt(`{ credentials: 'include', mode: 'no-cors' }`), 'opaque')
      for (const method of ['DELETE', 'PUT'])
        assert.equal(await attempt(`{ credentials: 'include', method: '${method}' }`), 'refused')
      assert.equal(await attempt(`{ credentials: 'include', method: 'POST', mode: 'no-cors', body: '{}' }`), 'opaque')
      // Nor does it show ours in a frame.
      await page.evaluate(`new Promise((resolve) => {
        const frame = Object.assign(document.createElement('iframe'), { src: '${local}/sign-in', onload: resolve })
        document.body.append(frame)
      })`)
      assert.equal(
        await page.evaluate(`(() => { try { return frames[0].document.title } catch { return 'hidden' } })()`),
        'hidden',
      )
      const { frameTree } = await page.send<{ frameTree: { childFrames: { frame: { url: string } }[] } }>(
        'Page.getFrameTree',
      )
      assert.ok(
        frameTree.childFrames.every(({ frame }) => !frame.url.startsWith(local)),
        'an error stands there',
      )

      await page.open(`${local}/sign-in`)
      assert.match(await page.text(), /You are signed in as ann\./)
    } finally {
      evil.closeAllConnections()
      evil.close()
    }
  })
})
