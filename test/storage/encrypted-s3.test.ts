import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import { noUploadStates } from '../../src/metadata/upload-states.ts'
import { testStorageDriver } from '../../src/storage/contract.ts'
import { createEncryptedStorage } from '../../src/storage/encrypted/driver.ts'
import { keyFiles } from '../../src/storage/encrypted/key-files.ts'
import { openKeyring } from '../../src/keyring/keyring.ts'
import { createObjectStorage } from '../../src/storage/object/driver.ts'
import { need } from '../support/programs.ts'
import { s3For, startS3 } from '../support/s3.ts'
import { ignore, readAll, streamOf, useNodes } from './tools.ts'

const clock = { now: () => new Date() }
const keys = [{ id: 'one', kind: 'key' as const, key: '11'.repeat(32) }]
const uploads = 'holdfast/uploads'

describe('encryption over S3', { skip: need('versitygw') }, async () => {
  const server = await startS3()

  testStorageDriver('S3, encrypted,', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-states-'))
    const { uploadStates: states, close } = createSqliteStore({ folder, clock })
    const bucket = randomUUID()
    await server.makeBucket(bucket)
    const options = { store: s3For(server.url, bucket), partSize: 8 << 20, uploads, id: randomUUID, redirect: false }
    const storage = createObjectStorage({ ...options, states: noUploadStates }) // as at the start, before there is a database
    const keyring = await openKeyring({ place: keyFiles(storage), keys, clock, mayMake: true })
    const inner = createObjectStorage({ ...options, states })
    return {
      driver: createEncryptedStorage({ inner, states, keyring, isOn: true, uploads }),
      dispose: async () => (await close(), rm(folder, { recursive: true })),
    }
  })

  it('takes a large blob in pieces at several nodes, and one that goes straight to its place', async () => {
    const bucket = randomUUID()
    await server.makeBucket(bucket)
    const nodes = await useNodes(2, s3For(server.url, bucket))
    const open = async ({ driver: inner, states }: (typeof nodes)[number]) => {
      const keyring = await openKeyring({ place: keyFiles(inner), keys, clock, mayMake: true })
      return createEncryptedStorage({ inner, states, keyring, isOn: true, uploads })
    }
    const [a, b] = await Promise.all(nodes.map(open))
    const bytes = randomBytes(20_000_001)
    const path = `${uploads}/one`
    await a!.append(path, 0, streamOf(bytes.subarray(0, 7_000_000)), ignore)
    await b!.append(path, 7_000_000, streamOf(bytes.subarray(7_000_000, 7_000_003)), ignore)
    await a!.append(path, 7_000_003, streamOf(bytes.subarray(7_000_003)), ignore)
    await a!.publish(path, 'pieces')
    await b!.append(`${uploads}/two`, 0, streamOf(bytes), ignore, 'straight')
    await b!.publish(`${uploads}/two`, 'straight')
    for (const name of ['pieces', 'straight']) {
      assert.equal((await b!.stat(name))?.size, bytes.length)
      assert.ok((await readAll(a!, name))?.equals(bytes))
      const stored = await readFile(join(server.folder, bucket, 'holdfast/encrypted', name))
      assert.equal(stored.indexOf(bytes.subarray(1000, 1016)), -1)
    }
    assert.equal(await a!.stat(path), undefined)
  })
})
