import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { eventually } from '../support/app.ts'
import { call } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { inventoryOf, pull, statusOf } from '../support/inventory.ts'
import { startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { pushIndex, pushText, remove } from '../support/push.ts'
import { pushImage, startRegistry } from '../support/registry.ts'
import { s3Driver, s3Env, startS3 } from '../support/s3.ts'

describe('a bucket of Holdfast', { skip: need('versitygw') }, async () => {
  const server = await startS3()

  it('is checked and mended by fsck, and its database made anew by reindex', { timeout: 60_000 }, async () => {
    await server.makeBucket('checked')
    const env = s3Env(server.url, 'checked')
    const [data, other] = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), 'holdfast-bucket-'))))
    Object.assign(process.env, env) // for the commands
    try {
      const first = await startRegistry({ data: data!, env })
      await pushIndex(first.url, 'team/multi', 'latest', 'multi')
      const { digest } = await pushText(first.url, 'app', 'v1', 'v1')
      const before = await inventoryOf(first.url)
      await first.stop()
      assert.deepEqual(await holdfast('fsck', '--data', data!), { code: 0, output: 'nothing is wrong\n' })
      await rm(join(server.folder, 'checked/docker/registry/v2/repositories/app/_manifests/tags/v1/current/link'))
      const found = await holdfast('fsck', '--data', data!, '--repair')
      assert.equal(found.code, 0, found.output)
      assert.match(found.output, /1 found, 1 mended/)
      const made = await holdfast('reindex', '--data', other!)
      assert.equal(made.code, 0, made.output)
      const second = await startRegistry({ data: other!, env })
      assert.deepEqual(await inventoryOf(second.url), before)
      assert.equal(await pull(second.url, 'app', 'v1'), digest)
      await second.stop()
    } finally {
      delete process.env.REGISTRY_STORAGE
      for (const folder of [data!, other!]) await rm(folder, { recursive: true })
    }
  })
})

describe('a bucket that images were moved to from a folder', { skip: need('versitygw') }, async () => {
  const server = await startS3()

  it(
    'takes nothing away from the database that came along, though it has not got all',
    { timeout: 60_000 },
    async () => {
      await server.makeBucket('half')
      const data = await mkdtemp(join(tmpdir(), 'holdfast-bucket-'))
      const first = await startRegistry({ data })
      const digests = [
        await pushText(first.url, 'moved', 'v1', 'moved'),
        await pushText(first.url, 'left', 'v1', 'left'),
      ]
      await first.stop()
      const tree = 'docker/registry/v2/repositories'
      await cp(join(data, 'docker/registry/v2/blobs'), join(server.folder, 'half/docker/registry/v2/blobs'), {
        recursive: true,
      })
      await cp(join(data, tree, 'moved'), join(server.folder, 'half', tree, 'moved'), { recursive: true })
      const second = await startRegistry({ data, env: s3Env(server.url, 'half') })
      await eventually(() => second.output().includes('volume.reconciled'))
      for (const [index, name] of ['moved', 'left'].entries())
        assert.equal(await pull(second.url, name, 'v1'), digests[index]!.digest)
      await second.stop()
      await rm(data, { recursive: true })
    },
  )
})

describe('a bucket of registry:2', { skip: need('versitygw', 'docker-registry') }, async () => {
  const server = await startS3()

  for (const [more, MiB] of [
    ['', 1 << 20],
    [', rootdirectory: /images/of/ours/', 1 << 10],
  ] as const)
    it(`goes to Holdfast and back${more && ', below a folder'}`, { timeout: 60_000 }, async () => {
      const bucket = randomUUID()
      await server.makeBucket(bucket)
      const data = await mkdtemp(join(tmpdir(), 'holdfast-bucket-'))
      const where = { driver: s3Driver(server.url, bucket, more) }
      const env = s3Env(server.url, bucket, { more })
      try {
        const first = await startOther('docker-registry', where)
        for (const name of ['app', 'team/app'])
          for (const tag of ['v1', 'v2']) await pushText(first.url, name, tag, `${name} ${tag}`)
        await pushIndex(first.url, 'team/multi', 'latest', 'multi')
        for (const text of ['one', 'two']) await pushText(first.url, 'app', 'moving', text)
        await pushImage(first.url, 'large', 'v1', [randomBytes(21 * MiB)])
        const before = await inventoryOf(first.url)
        await first.stop()

        const ours = await startRegistry({ data, env })
        assert.deepEqual(await inventoryOf(ours.url), before)
        await pushText(ours.url, 'app', 'v3', 'app v3')
        await pushText(ours.url, 'app', 'moving', 'three')
        await pushIndex(ours.url, 'new/by/holdfast', 'v1', 'new')
        await pushImage(ours.url, 'large', 'v2', [randomBytes(41 * MiB), randomBytes(3 * MiB)])
        await remove(ours.url, 'team/app', before['team/app']!.v2!)
        const during = await inventoryOf(ours.url)
        assert.equal(await ours.stop(), 0)

        const second = await startOther('docker-registry', where)
        assert.deepEqual(await inventoryOf(second.url), during)
        await pushText(second.url, 'app', 'v4', 'app v4')
        await pushText(second.url, 'app', 'moving', 'four')
        await remove(second.url, 'app', during.app!.v1!)
        const after = await inventoryOf(second.url)
        await second.stop()

        const again = await startRegistry({ data, env })
        assert.deepEqual(await inventoryOf(again.url), after)
        assert.equal(await statusOf(again.url, 'app', during.app!.v1!), 404)
        await pull(again.url, 'large', 'v2')
        assert.equal((await call(again.url, 'GET', '/v2/')).status, 200)
        await again.stop()
      } finally {
        await rm(data, { recursive: true })
      }
    })
})
