import assert from 'node:assert/strict'
import { constants, createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { libtrustId, thumbprint } from '../../src/auth/jwk.ts'
import type { OutsideTokensConfiguration } from '../../src/config/configuration.ts'
import { createCertificate, toPem } from '../../src/keyring/certificate.ts'
import { useApp } from '../support/app.ts'
import { call } from '../support/client.ts'
import { simpleLayout } from '../support/oci-layout.ts'
import { need, run } from '../support/programs.ts'
import { bearer, jsonOf, useTokenApp } from './tools.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-outside-'))
const day = 86_400_000
const elliptic = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
interface Signer {
  name: string
  publicKey: KeyObject
  privateKey: KeyObject
  certificate: Buffer
}

/** A key with a certificate signed by another one, or by itself. */
function issue(name: string, by?: Signer, { isAuthority = true, days = 1 } = {}): Signer {
  const pair = elliptic()
  const [from, until] = [new Date(Date.now() - day), new Date(Date.now() + days * day)]
  const certificate = createCertificate({
    publicKey: pair.publicKey,
    name,
    signer: by ?? { name, ...pair },
    isAuthority,
    from,
    until,
  })
  return { name, ...pair, certificate }
}
const textOf = ({ certificate }: Pick<Signer, 'certificate'>) => certificate.toString('base64')

const root = issue('root')
const between = issue('between', root)
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const edwards = generateKeyPairSync('ed25519')
const wide = generateKeyPairSync('ec', { namedCurve: 'secp521r1' })
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
const jwks = {
  keys: [
    ...Object.entries({ rsa, edwards, wide, weak }).map(([kid, { publicKey }]) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
    })),
    { kty: 'oct', k: 'c2VjcmV0', kid: 'secret' },
    { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'for encryption', use: 'enc' },
  ],
}
await writeFile(join(folder, 'bundle.pem'), toPem(root.certificate))
await writeFile(join(folder, 'jwks.json'), JSON.stringify(jwks))

const settings: OutsideTokensConfiguration = {
  kind: 'token',
  realm: 'https://auth.test/token',
  service: 'our service',
  issuer: 'them',
  certificates: join(folder, 'bundle.pem'),
  jwks: join(folder, 'jwks.json'),
  algorithms: undefined,
  redirectPath: undefined,
}
const useOutside = async (more: Partial<OutsideTokensConfiguration> = {}) => {
  const app = await useApp((configuration) => (configuration.auth = { ...settings, ...more }))
  const url = `http://127.0.0.1:${app.port}`
  return {
    ...app,
    url,
    ask: (path: string, token: string) => call(url, 'GET', path, { headers: { authorization: bearer(token) } }),
  }
}
const app = await useOutside()
after(() => rm(folder, { recursive: true }))

const padding: Record<string, number> = { RS256: constants.RSA_PKCS1_PADDING, PS384: constants.RSA_PKCS1_PSS_PADDING }

function tokenOf(header: Record<string, unknown>, key: KeyObject, more: object = {}): string {
  const alg = String(header.alg ?? 'ES256')
  const now = Math.floor(Date.now() / 1000)
  const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
  const claims = { iss: 'them', aud: ['other', 'our service'], sub: 'zoe', exp: now + 60, nbf: now, access, ...more }
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ typ: 'JWT', ...header, alg })}.${part(claims)}`
  const hash = alg === 'EdDSA' ? null : `sha${alg.slice(2)}`
  const how = {
    key,
    dsaEncoding: 'ieee-p1363' as const,
    ...(padding[alg] && { padding: padding[alg], saltLength: Number(alg.slice(2)) / 8 }),
  }
  return `${signed}.${sign(hash, Buffer.from(signed), how).toString('base64url')}`
}

describe('auth.token', () => {
  it('sends clients to the issuer', async () => {
    const challenge = async (url: string, path: string, headers = {}) =>
      (await call(url, 'GET', path, { headers })).headers['www-authenticate']
    const asked = 'Bearer realm="https://auth.test/token",service="our service"'
    assert.equal(await challenge(app.url, '/v2/'), asked)
    assert.equal(await challenge(app.url, '/v2/a/tags/list'), `${asked},scope="repository:a:pull"`)
    assert.equal(await challenge(app.url, '/v2/', { authorization: `Basic ${btoa('a:b')}` }), asked)
    const redirecting = await useOutside({ redirectPath: '/sign/in' })
    const host = { Host: 'registry.test' }
    assert.equal(
      await challenge(redirecting.url, '/v2/', host),
      'Bearer realm="http://registry.test/sign/in",service="our service"',
    )
  })

  const good: [what: string, token: string][] = [
    ["the bundle, by registry:3's id", tokenOf({ kid: thumbprint(root.publicKey) }, root.privateKey)],
    ["the bundle, by registry:2's id", tokenOf({ kid: libtrustId(root.publicKey) }, root.privateKey)],
    ['a chain of certificates', chained(issue('leaf', between, { isAuthority: false }), between)],
    ['a certificate of the root', chained(issue('leaf', root, { isAuthority: false }))],
    ['the root as certificate', chained(root)],
    ['a chain within a jwk', inJwk(issue('leaf', between, { isAuthority: false }), between)],
    ['an RSA key', tokenOf({ kid: 'rsa', alg: 'RS256' }, rsa.privateKey)],
    ['an RSA key with PSS', tokenOf({ kid: 'rsa', alg: 'PS384' }, rsa.privateKey)],
    ['an Edwards curve', tokenOf({ kid: 'edwards', alg: 'EdDSA' }, edwards.privateKey)],
    ['a wide curve', tokenOf({ kid: 'wide', alg: 'ES512' }, wide.privateKey)],
    ['a jwk that names a key that is known', tokenOf({ jwk: { kid: 'rsa' }, alg: 'RS256' }, rsa.privateKey)],
  ]
  for (const [what, token] of good)
    it(`takes a token signed with ${what}, for what it grants`, async () => {
      assert.equal((await app.ask('/v2/team/app/tags/list', token)).status, 404)
      assert.equal((await app.ask('/v2/', token)).status, 200)
      const denied = await app.ask('/v2/team/other/tags/list', token)
      assert.match(
        denied.headers['www-authenticate'] ?? '',
        /scope="repository:team\/other:pull",error="insufficient_scope"$/,
      )
    })

  const stranger = issue('root')
  const notAuthority = issue('not an authority', root, { isAuthority: false })
  const expired = issue('expired', root, { days: -0.1 })
  const jwkOf = (key: KeyObject) => key.export({ format: 'jwk' })
  const bad: [what: string, token: string][] = [
    ['with a certificate of a stranger of the same name', chained(issue('leaf', stranger))],
    ["with a stranger's root in its chain", chained(issue('leaf', stranger), stranger)],
    ['with its own certificate', chained(stranger)],
    ['with a certificate of one who is no authority', chained(issue('leaf', notAuthority), notAuthority)],
    ['with a certificate that has expired', chained(expired)],
    ['with a certificate of one that has expired', chained(issue('leaf', expired), expired)],
    ['with a good certificate and another key', tokenOf({ x5c: [textOf(root)] }, stranger.privateKey)],
    [
      'with a chain whose first certificate is not its own',
      tokenOf({ x5c: [textOf(root), textOf(stranger)] }, stranger.privateKey),
    ],
    ['with a chain that lacks one', chained(issue('leaf', between))],
    ['with a chain that is too long', tokenOf({ x5c: Array(11).fill(textOf(root)) }, root.privateKey)],
    ['with a chain of numbers', tokenOf({ x5c: [1] }, root.privateKey)],
    ['with an empty chain and the id of a key', tokenOf({ x5c: [], kid: thumbprint(root.publicKey) }, root.privateKey)],
    [
      'with its own key under a known id (jwk)',
      tokenOf({ jwk: { ...jwkOf(stranger.publicKey), kid: thumbprint(root.publicKey) } }, stranger.privateKey),
    ],
    ['with its own key (jwk)', tokenOf({ jwk: jwkOf(stranger.publicKey) }, stranger.privateKey)],
    ['with no key', tokenOf({}, root.privateKey)],
    ['with an id nobody has', tokenOf({ kid: 'x' }, root.privateKey)],
    ['with an id from the prototype', tokenOf({ kid: '__proto__' }, root.privateKey)],
    ['of an RSA key that is too short', tokenOf({ kid: 'weak', alg: 'RS256' }, weak.privateKey)],
    ['of a key for encryption', tokenOf({ kid: 'for encryption', alg: 'RS256' }, rsa.privateKey)],
    ['of another issuer', tokenOf({ kid: 'rsa', alg: 'RS256' }, rsa.privateKey, { iss: 'holdfast' })],
    ['for another service', tokenOf({ kid: 'rsa', alg: 'RS256' }, rsa.privateKey, { aud: 'other' })],
    ['that has expired', tokenOf({ kid: 'rsa', alg: 'RS256' }, rsa.privateKey, { exp: 1 })],
  ]
  for (const [what, token] of bad)
    it(`refuses a token ${what}`, async () => {
      const answer = await app.ask('/v2/team/app/tags/list', token)
      assert.equal(answer.status, 401)
      assert.match(answer.headers['www-authenticate'] ?? '', /error="invalid_token"$/)
    })

  it('refuses authorities below one that may have none', { skip: need('openssl') }, async () => {
    const at = (name: string) => join(folder, name)
    const make = async (name: string, by: string, constraint: string) => {
      await writeFile(
        at(`${name}.ext`),
        `basicConstraints=critical,${constraint}\nkeyUsage=critical,keyCertSign,digitalSignature\n`,
      )
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', at(`${name}.key`)]
      await run('openssl', ['req', ...key, '-subj', `/CN=${name}`, '-out', at(`${name}.csr`)])
      const signer = ['-CA', at(`${by}.crt`), '-CAkey', at(`${by}.key`), '-CAcreateserial']
      await run('openssl', [
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        ...signer,
        '-extfile',
        at(`${name}.ext`),
        '-out',
        at(`${name}.crt`),
      ])
    }
    await writeFile(at('root.crt'), toPem(root.certificate))
    await writeFile(at('root.key'), root.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await make('last', 'root', 'CA:TRUE,pathlen:0')
    await make('leaf', 'last', 'CA:FALSE')
    await make('more', 'last', 'CA:TRUE')
    await make('below', 'more', 'CA:FALSE')
    const chain = async (...names: string[]) => {
      const raw = await Promise.all(
        names.map(async (name) => new X509Certificate(await readFile(at(`${name}.crt`))).raw),
      )
      const key = createPrivateKey(await readFile(at(`${names[0]}.key`)))
      return tokenOf({ x5c: raw.map((bytes) => bytes.toString('base64')) }, key)
    }
    const ask = async (token: string) => (await app.ask('/v2/', token)).status
    assert.equal(await ask(await chain('leaf', 'last')), 200)
    assert.equal(await ask(await chain('below', 'more', 'last')), 401)
  })

  it('is not kept busy by authorities that all sign each other', async () => {
    const pair = elliptic()
    const signer = { name: 'ring', ...pair }
    const ring = Array.from({ length: 10 }, (_, index) => {
      const [from, until] = [new Date(Date.now() - index * day - day), new Date(Date.now() + day)]
      return createCertificate({ publicKey: pair.publicKey, name: 'ring', signer, isAuthority: true, from, until })
    })
    const begun = performance.now()
    const token = tokenOf({ x5c: ring.map((certificate) => certificate.toString('base64')) }, pair.privateKey)
    assert.equal((await app.ask('/v2/', token)).status, 401)
    assert.ok(performance.now() - begun < 1000)
  })

  it('lists all repositories to who is granted the list', async () => {
    const grant = (...access: object[]) => tokenOf({ kid: 'rsa', alg: 'RS256' }, rsa.privateKey, { access })
    const writing = grant({ type: 'repository', name: 'made/here', actions: ['pull', 'push'] })
    const type = 'application/vnd.oci.image.index.v1+json'
    const pushed = await call(app.url, 'PUT', '/v2/made/here/manifests/v1', {
      body: `{"schemaVersion":2,"mediaType":"${type}","manifests":[]}`,
      headers: { authorization: bearer(writing), 'Content-Type': type },
    })
    assert.equal(pushed.status, 201)
    const listing = await app.ask('/v2/_catalog', grant({ type: 'registry', name: 'catalog', actions: ['*'] }))
    assert.deepEqual(jsonOf(listing), { repositories: ['made/here'] })
    assert.equal((await app.ask('/v2/_catalog', writing)).status, 401)
  })

  it('keeps to the algorithms that are listed', async () => {
    const strict = await useOutside({ algorithms: ['ES256'] })
    const status = async (token: string) => (await strict.ask('/v2/', token)).status
    assert.equal(await status(tokenOf({ kid: thumbprint(root.publicKey) }, root.privateKey)), 200)
    assert.equal(await status(tokenOf({ kid: 'rsa', alg: 'RS256' }, rsa.privateKey)), 401)
  })

  it('says which file cannot be used', async () => {
    const starting = (more: Partial<OutsideTokensConfiguration>) => useOutside(more)
    await assert.rejects(
      starting({ certificates: join(folder, 'none') }),
      /Cannot use auth\.token\.rootcertbundle .*none: ENOENT/,
    )
    await assert.rejects(starting({ certificates: settings.jwks }), /rootcertbundle .*: expected certificates/)
    await assert.rejects(starting({ jwks: settings.certificates }), /Cannot use auth\.token\.jwks .*: .*JSON/)
    await writeFile(join(folder, 'empty.json'), '{"keys":[{"kty":"oct","k":"c2Vj"}]}')
    await assert.rejects(
      starting({ jwks: join(folder, 'empty.json') }),
      /it holds no key that tokens may be signed with/,
    )
  })

  function chained(...signers: Signer[]): string {
    return tokenOf({ x5c: signers.map(textOf) }, signers[0]!.privateKey)
  }
  function inJwk(...signers: Signer[]): string {
    const [first] = signers as [Signer]
    return tokenOf(
      { jwk: { ...first.publicKey.export({ format: 'jwk' }), x5c: signers.map(textOf) } },
      first.privateKey,
    )
  }
})

describe('one Holdfast with the tokens of another', { skip: need('skopeo') }, () => {
  for (const how of ['rootcertbundle', 'jwks'] as const)
    it(`trusts its ${how}`, async () => {
      const issuer = await useTokenApp((configuration) => (configuration.tokens!.services = ['other']))
      const file = join(folder, how)
      await writeFile(file, (await issuer.get(how === 'jwks' ? '/token/jwks' : '/token/certificates')).body)
      const trusting = await useOutside({
        realm: `${issuer.url}/token`,
        service: 'other',
        issuer: 'holdfast',
        certificates: how === 'jwks' ? undefined : file,
        jwks: how === 'jwks' ? file : undefined,
      })
      await simpleLayout(join(folder, `layout-${how}`))
      const target = `docker://127.0.0.1:${trusting.port}/team/app:v1`
      const to = ['--dest-tls-verify=false', '--dest-creds']
      const copy = (...args: string[]) => run('skopeo', ['copy', ...args])
      await copy(...to, 'ann:secret', `oci:${folder}/layout-${how}:v1`, target)
      await copy('--src-tls-verify=false', '--src-creds', 'bob:word', target, `oci:${folder}/back-${how}:v1`)
      await assert.rejects(
        copy('--src-tls-verify=false', target, `oci:${folder}/none-${how}:v1`),
        /authentication required|unauthorized/,
      )
      const own = jsonOf<{ token: string }>(await issuer.get('/token?scope=repository:team/app:pull')).token
      assert.equal((await trusting.ask('/v2/', own)).status, 401)
    })
})
