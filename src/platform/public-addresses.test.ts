import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { createAddressGuard } from './public-addresses.ts'

const none = createAddressGuard([])

describe('an address', () => {
  for (const address of [
    '1.1.1.1',
    '100.63.255.255',
    '172.32.0.1',
    '193.0.0.1',
    '2606:4700::1111',
    '2a00:1450:4001::1',
  ])
    it(`${address} is public`, () => assert.ok(none.mayAsk(address)))

  const special =
    '127.0.0.1 127.255.255.254 0.0.0.0 10.1.2.3 100.64.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1 198.18.0.1 ' +
    '224.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:7f00:1 64:ff9b::7f00:1 2002:7f00:1:: fc00::1 fd00:ec2::254 fe80::1 ff02::1'
  for (const address of special.split(' '))
    it(`${address} is not`, () => {
      assert.ok(!none.mayAsk(address))
      const host = address.includes(':') ? `[${address}]` : address
      assert.throws(() => none.expectPublic(new URL(`https://${host}/`)), /is not public: if it may be asked/)
    })

  for (const url of [
    'http://0x7f.1/',
    'http://2130706433/',
    'http://127.1/',
    'http://0177.0.0.1/',
    'http://①②⑦.0.0.1/',
  ])
    it(`is understood in ${url}`, () =>
      assert.throws(() => none.expectPublic(new URL(url)), /127\.0\.0\.1 is not public/))

  it('may be asked where its network is allowed', () => {
    const some = createAddressGuard(['10.0.0.0/8', '::1', '169.254.1.1'])
    assert.deepEqual(['10.9.9.9', '::1', '169.254.1.1', '169.254.1.2', '127.0.0.1'].map(some.mayAsk), [
      true,
      true,
      true,
      false,
      false,
    ])
  })

  it('that a name leads to is judged as well', async () => {
    const lookup = (allow: string[], options: object) =>
      promisify(createAddressGuard(allow).lookup)('localhost', options) as Promise<unknown>
    await assert.rejects(lookup([], {}), /localhost \(.*\) is not public/)
    await assert.rejects(lookup([], { all: true }), /is not public/)
    assert.equal(await lookup(['127.0.0.0/8', '::1'], { family: 4 }), '127.0.0.1')
  })
})
