import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { need } from '../support/programs.ts'
import { startRegistry } from '../support/registry.ts'
import { s3Env, startS3 } from '../support/s3.ts'

describe('a start with a bucket that cannot be used', { skip: need('versitygw') }, async () => {
  const server = await startS3()
  await server.makeBucket('there')
  const fine = s3Env(server.url, 'there').REGISTRY_STORAGE!
  const closed = await startFaultProxy(server.url)
  closed.fault = () => 'refuse'

  for (const [name, storage, message, env = {}] of [
    [
      'a wrong access key',
      fine.replace(/accesskey: [^,]+/, 'accesskey: nobody'),
      /does not know the access key: check storage\.s3\.accesskey/,
    ],
    [
      'a wrong secret',
      fine.replace(/secretkey: "[^"]+"/, 'secretkey: "hush hush"'),
      /does not take the signature: check storage\.s3\.secretkey/,
    ],
    [
      'no bucket',
      fine.replace('bucket: there', 'bucket: elsewhere'),
      /there is no such bucket: make it, or check storage\.s3\.bucket/,
    ],
    ['a wrong region', fine.replace('us-east-1', 'eu-west-9'), /check storage\.s3\.region/],
    [
      'nobody there',
      fine.replace(server.url, closed.url),
      /check storage\.s3\.regionendpoint, the network and the store/,
    ],
    [
      'no credentials',
      fine.replace(/accesskey: [^,]+, secretkey: "[^"]+"/, 'secure: false'),
      /no credentials found: set storage\.s3\.accesskey/,
      { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nowhere' },
    ],
  ] as const)
    it(`says so in one line: ${name}`, { timeout: 30_000 }, async () => {
      await assert.rejects(startRegistry({ env: { ...env, REGISTRY_STORAGE: storage } }), (error: Error) => {
        const lines = error.message.replace('The server ended: ', '').trim().split('\n')
        assert.equal(lines.length, 1, error.message)
        assert.match(lines[0]!, message)
        assert.doesNotMatch(lines[0]!, /hush|a secret of/)
        return true
      })
      assert.deepEqual(await readdir(join(server.folder, 'there')), [])
    })

  it('says so in one line: the bucket of another database', { timeout: 30_000 }, async () => {
    await server.makeBucket('taken')
    const env = { REGISTRY_STORAGE: fine.replace('bucket: there', 'bucket: taken') }
    const first = await startRegistry({ env })
    await assert.rejects(startRegistry({ env }), (error: Error) => {
      assert.match(error.message, /another Holdfast with another database is using this storage/)
      assert.equal(error.message.replace('The server ended: ', '').trim().split('\n').length, 1, error.message)
      return true
    })
    assert.deepEqual(await readdir(join(server.folder, 'taken/holdfast')), ['owner.json'])
    await first.dispose()
    const second = await startRegistry({ env })
    await second.dispose()
  })

  it('says so in one line: a clock that is wrong', { timeout: 30_000, skip: need('faketime') }, async () => {
    await assert.rejects(
      startRegistry({ env: { REGISTRY_STORAGE: fine }, under: ['faketime', '-f', '+2h'] }),
      (error: Error) => {
        assert.match(error.message, /this machine's clock is wrong: set it/)
        return true
      },
    )
  })
})
