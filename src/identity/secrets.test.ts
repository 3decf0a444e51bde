import assert from 'node:assert/strict'
import { argon2Sync } from 'node:crypto'
import { describe, it } from 'node:test'
import { isAccountName, namespaceOfPattern, organizationOfRobot } from './names.ts'
import { createPasswords, objectionToPassword } from './passwords.ts'
import { isSecret, makeSecret } from './secrets.ts'

describe('a secret', () => {
  it('says what it is, and knows when a letter is wrong', () => {
    const secret = makeSecret('pat')
    assert.match(secret, /^holdfast_pat_[0-9A-Za-z]{36}$/)
    assert.ok(isSecret(secret))
    const other = secret.at(20) === 'A' ? 'B' : 'A'
    assert.ok(!isSecret(secret.slice(0, 20) + other + secret.slice(21)))
    assert.notEqual(makeSecret('pat'), secret)
    for (const text of ['', 'secret', 'holdfast_pat_', `${secret} `, secret.replace('pat', 'xyz')])
      assert.ok(!isSecret(text))
  })
})

describe('a password', () => {
  it('fits its own hash only', async () => {
    const passwords = createPasswords()
    const hashed = await passwords.hash('correct horse')
    assert.match(hashed, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    assert.equal(await passwords.fits('correct horse', hashed), true)
    assert.equal(await passwords.fits('correct horsf', hashed), false)
    assert.equal(await passwords.fits('correct horse', undefined), false)
    assert.equal(await passwords.fits('', ''), false)
    assert.equal(await passwords.fits('nai\u0308ve word', await passwords.hash('na\u00efve word')), true)
  })

  it('is compared by the parameters of its hash', async () => {
    const tag = argon2Sync('argon2id', {
      message: 'older',
      nonce: 'somesalt',
      memory: 64,
      passes: 1,
      parallelism: 2,
      tagLength: 16,
    })
    const hashed = `$argon2id$v=19$m=64,t=1,p=2$${Buffer.from('somesalt').toString('base64')}$${tag.toString('base64')}`
    assert.equal(await createPasswords().fits('older', hashed.replaceAll('=$', '$').replace(/=+$/, '')), true)
    for (const broken of ['$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHQ$AAA', '$2y$05$x', 'older'])
      assert.equal(await createPasswords().fits('older', broken), false)
  })

  it('waits for its turn, and is refused where too many wait', async () => {
    const passwords = createPasswords()
    const results = await Promise.allSettled(
      Array.from({ length: 110 }, () => passwords.fits('x', '$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAA')),
    )
    const refused = results.filter(({ status }) => status === 'rejected')
    assert.equal(refused.length, 8)
  })

  it('must be long and no name', () => {
    assert.match(String(objectionToPassword('short', 'ann')), /at least 8/)
    assert.match(String(objectionToPassword('annabella1', 'annabella')), /name/)
    assert.match(String(objectionToPassword('aaaaaaaaaa', 'ann')), /repeat/)
    assert.match(String(objectionToPassword('x'.repeat(257), 'ann')), /at most/)
    assert.equal(objectionToPassword('correct horse', 'ann'), undefined)
  })
})

describe('names', () => {
  it('of accounts are namespaces, and no robots', () => {
    for (const name of ['ann', 'ann.lee', 'a-b', 'x2', 'team_a']) assert.ok(isAccountName(name), name)
    for (const name of [
      '',
      'Ann',
      'a/b',
      'robot',
      'robot.acme.ci',
      'admin',
      '-a',
      'a..-',
      'a b',
      'a\r\nx',
      '*',
      'é',
      'x'.repeat(65),
      'a'.repeat(64),
    ])
      assert.ok(!isAccountName(name), name)
  })

  it('of robots are read in one way', () => {
    assert.equal(organizationOfRobot('robot.acme.ci'), 'acme')
    assert.equal(organizationOfRobot('robot.acme.eu.ci'), 'acme.eu')
    assert.equal(organizationOfRobot('robot.acme'), undefined)
  })

  it('of patterns lie in one namespace or in any', () => {
    assert.equal(namespaceOfPattern('acme/*'), 'acme')
    assert.equal(namespaceOfPattern('acme*/x'), undefined)
    assert.equal(namespaceOfPattern('*'), undefined)
  })
})
