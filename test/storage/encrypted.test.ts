import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import type { StorageDriver } from '../../src/registry/ports/storage.ts'
import { createEncryptedStorage } from '../../src/storage/encrypted/driver.ts'
import { keyFiles } from '../../src/storage/encrypted/key-files.ts'
import { wrap } from '../../src/keyring/wrapping.ts'
import { openKeyring } from '../../src/keyring/keyring.ts'
import type { MasterKeyOptions } from '../../src/keyring/master-keys.ts'
import { createFilesystem } from '../../src/storage/filesystem.ts'
import { ignore, readAll, streamOf } from './tools.ts'

const clock = { now: () => new Date() }
const chunk = 65_536
const one: MasterKeyOptions = { id: 'one', kind: 'key', key: '11'.repeat(32) }
const two: MasterKeyOptions = { id: 'two', kind: 'key', key: '22'.repeat(32) }

const folder = await mkdtemp(join(tmpdir(), 'holdfast-encrypted-'))
const { uploadStates: states, close } = createSqliteStore({ folder: join(folder, 'facts'), clock })
after(async () => (await close(), rm(folder, { recursive: true })))
let count = 0

/** A storage; with `root` another one over the same bytes, as after a restart or at another node. */
async function open({ root = join(folder, String(count++)), keys = [one], isOn = true } = {}) {
  const inner = createFilesystem(root)
  const keyring = await openKeyring({ place: keyFiles(inner), keys, clock, mayMake: isOn })
  const driver = createEncryptedStorage({ inner, states, keyring, isOn, uploads: 'holdfast/uploads' })
  return { root, inner, keyring, driver, file: (path: string) => join(root, 'holdfast/encrypted', path) }
}

async function publish(driver: StorageDriver, path: string, bytes: Buffer, upload = `holdfast/uploads/${count++}`) {
  await driver.append(upload, 0, streamOf(bytes), ignore, path)
  await driver.publish(upload, path)
}

async function read(driver: StorageDriver, path: string, first: number, last: number): Promise<Buffer> {
  const content = (await driver.open(path))!
  const chunks: Buffer[] = []
  const sink = new Writable({ write: (part: Buffer, _encoding, done) => (chunks.push(Buffer.from(part)), done()) })
  try {
    await content.sendTo(sink, { first, last })
  } finally {
    await content.close()
  }
  return Buffer.concat(chunks)
}

describe('encrypted content', () => {
  it('holds nothing of what it is of, and is of the same size to those who ask', async () => {
    const { driver, file } = await open()
    const bytes = Buffer.from('a secret of some length '.repeat(9000))
    await publish(driver, 'a', bytes)
    const stored = await readFile(file('a'))
    assert.ok(!stored.includes('secret'))
    assert.equal((await driver.stat('a'))?.size, bytes.length)
    assert.ok((await readAll(driver, 'a'))?.equals(bytes))
  })

  for (const size of [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 5])
    it(`may have ${size} bytes, and is read from anywhere to anywhere`, async () => {
      const { driver } = await open()
      const bytes = randomBytes(size)
      await publish(driver, 'a', bytes)
      assert.equal((await driver.stat('a'))?.size, size)
      assert.ok((await readAll(driver, 'a'))?.equals(bytes))
      const edges = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 3 * chunk, size - 1]
      for (const first of edges)
        for (const last of edges)
          if (first >= 0 && first <= last && last < size)
            assert.ok(
              (await read(driver, 'a', first, last)).equals(bytes.subarray(first, last + 1)),
              `${first}-${last}`,
            )
    })

  it('comes in odd pieces over many requests, nodes and broken connections', async () => {
    const { root } = await open()
    const bytes = randomBytes(1_000_003)
    const path = 'holdfast/uploads/odd'
    let at = 0
    for (let length = 1; at < bytes.length; length = (length * 7) % 170_001) {
      const { driver } = await open({ root })
      assert.equal((await driver.stat(path))?.size ?? 0, at)
      const part = bytes.subarray(at, at + length)
      async function* broken(): AsyncGenerator<Buffer> {
        yield Buffer.from(part)
        throw new Error('gone')
      }
      if (length % 2 === 0) await driver.append(path, at, streamOf(part), ignore)
      else await assert.rejects(driver.append(path, at, Readable.from(broken()), ignore), /gone/)
      at += part.length
      assert.ok((await readAll(driver, path))?.equals(bytes.subarray(0, at)))
    }
    const { driver } = await open({ root })
    assert.ok((await readAll(driver, path))?.equals(bytes))
    await driver.publish(path, 'odd')
    assert.ok((await readAll(driver, 'odd'))?.equals(bytes))
    assert.deepEqual(await readdir(join(root, 'holdfast/uploads')), [])
  })

  it('goes on behind the last whole request when a write was cut off', async () => {
    const { root, driver } = await open()
    const bytes = randomBytes(400_000)
    const path = 'holdfast/uploads/torn'
    await driver.append(path, 0, streamOf(bytes.subarray(0, 200_000)), ignore)
    const [name] = await readdir(join(root, 'holdfast/uploads'))
    await appendFile(join(root, 'holdfast/uploads', name!), randomBytes(70_000))
    const again = await open({ root })
    assert.equal((await again.driver.stat(path))?.size, 200_000)
    await again.driver.append(path, 200_000, streamOf(bytes.subarray(200_000)), ignore)
    await again.driver.publish(path, 'torn')
    assert.ok((await readAll(again.driver, 'torn'))?.equals(bytes))
    assert.deepEqual(await readdir(join(root, 'holdfast/uploads')), [])
  })

  it('refuses the slower one of two nodes that write to one upload', async () => {
    const { root, driver } = await open()
    const other = await open({ root })
    const path = 'holdfast/uploads/raced'
    await driver.append(path, 0, streamOf(randomBytes(100_000)), ignore)
    const parts = [randomBytes(300_000), randomBytes(300_000)]
    const done = await Promise.allSettled([
      driver.append(path, 100_000, streamOf(parts[0]!), ignore),
      other.driver.append(path, 100_000, streamOf(parts[1]!), ignore),
    ])
    const won = done.findIndex(({ status }) => status === 'fulfilled')
    assert.equal(done.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.ok((await read(driver, path, 100_000, 399_999)).equals(parts[won]!))
    await assert.rejects((won === 0 ? other : await open({ root })).driver.publish(path, 'raced'), {
      code: 'RANGE_INVALID',
    })
    await driver.delete(path)
  })

  it('leaves no bytes of a push in one request that breaks off', async () => {
    const { root, driver } = await open()
    async function* broken(): AsyncGenerator<Buffer> {
      yield randomBytes(200_000)
      throw new Error('gone')
    }
    await assert.rejects(driver.append('holdfast/uploads/x', 0, Readable.from(broken()), ignore, 'x'), /gone/)
    assert.deepEqual(await readdir(join(root, 'holdfast/uploads')), [])
    assert.equal(await driver.stat('holdfast/uploads/x'), undefined)
  })

  it('is swept away where no upload knows it', async () => {
    const { root, driver } = await open()
    await driver.append('holdfast/uploads/kept', 0, streamOf(randomBytes(100_000)), ignore)
    await writeFile(join(root, 'holdfast/uploads/gone~1'), 'x')
    assert.deepEqual(await driver.list('holdfast/uploads'), ['kept'])
    assert.equal(await driver.sweep!(new Date(Date.now() + 60_000)), 1)
    assert.equal((await driver.stat('holdfast/uploads/kept'))?.size, 100_000)
    assert.equal((await readAll(driver, 'holdfast/uploads/kept'))?.length, 100_000)
  })
})

describe('what was changed behind the back', async () => {
  const { driver, file } = await open()
  const bytes = randomBytes(2 * chunk + 100)
  await publish(driver, 'a', bytes)
  await publish(driver, 'small', Buffer.from('0123456789'))
  const sealed = chunk + 28

  /** Reads all chunk by chunk and in one go: nothing that comes may be wrong, and something must be missed. */
  async function notices(path: string, right: Buffer): Promise<boolean> {
    const size = (await driver.stat(path))!.size
    if (size !== right.length) return true // the registry knows the size
    const content = (await driver.open(path))!
    const got: Buffer[] = []
    const sink = new Writable({ write: (part: Buffer, _encoding, done) => (got.push(Buffer.from(part)), done()) })
    const failed = await content.sendTo(sink, { first: 0, last: size - 1 }).then(
      () => false,
      (error: Error & { code?: string }) => error.code === 'EBADMSG' || /no .*json/.test(error.message),
    )
    await content.close()
    const all = Buffer.concat(got)
    assert.ok(all.equals(right.subarray(0, all.length)), 'a wrong byte')
    return failed
  }

  it('is noticed at every single byte of it', { timeout: 60_000 }, async () => {
    const right = await readFile(file('small'))
    for (let at = 0; at < right.length; at++) {
      const wrong = Buffer.from(right)
      wrong[at]! ^= 1 << (at % 8)
      await writeFile(file('small'), wrong)
      assert.ok(await notices('small', Buffer.from('0123456789')), `byte ${at}`)
    }
    await writeFile(file('small'), right)
  })

  it('is noticed at the edges of chunks, and wherever it is cut or goes on', async () => {
    const right = await readFile(file('a'))
    const edges = [56, 56 + 12, 56 + sealed - 16, 56 + sealed - 1, 56 + sealed, 56 + 2 * sealed, right.length - 1]
    const wrongs: [string, Buffer][] = edges.map((at) => {
      const wrong = Buffer.from(right)
      wrong[at]! ^= 1
      return [`byte ${at}`, wrong]
    })
    for (const end of [0, 1, 55, 56, 60, 84, 85, ...edges]) wrongs.push([`cut at ${end}`, right.subarray(0, end)])
    for (const more of [1, 27, 28, 29, 100, sealed])
      wrongs.push([`${more} more`, Buffer.concat([right, randomBytes(more)])])
    for (const [what, wrong] of wrongs) {
      await writeFile(file('a'), wrong)
      assert.ok(await notices('a', bytes), what)
    }
    await writeFile(file('a'), right)
  })

  it('is noticed when chunks change places, come twice or are left out', async () => {
    const right = await readFile(file('a'))
    const [head, first, second, last] = [
      right.subarray(0, 56),
      right.subarray(56, 56 + sealed),
      right.subarray(56 + sealed, 56 + 2 * sealed),
      right.subarray(56 + 2 * sealed),
    ]
    for (const [what, parts] of Object.entries({
      swapped: [head, second, first, last],
      twice: [head, first, first, last],
      'left out': [head, first, last],
      'the last one left out': [head, first, second],
      'one more before the last': [head, first, second, second, last],
    })) {
      await writeFile(file('a'), Buffer.concat(parts))
      assert.ok(await notices('a', bytes), what)
    }
    await writeFile(file('a'), right)
    assert.ok((await readAll(driver, 'a'))?.equals(bytes))
  })

  it('serves what is whole of content that is damaged elsewhere', async () => {
    await publish(driver, 'b', bytes)
    const right = await readFile(file('b'))
    right[right.length - 1]! ^= 1
    await writeFile(file('b'), right)
    assert.ok((await read(driver, 'b', 10, chunk + 10)).equals(bytes.subarray(10, chunk + 11)))
    await assert.rejects(read(driver, 'b', 2 * chunk, 2 * chunk), { code: 'EBADMSG' })
    await truncate(file('b'), 70)
    assert.equal((await driver.stat('b'))?.size, 0)
  })
})

describe('plain and encrypted content', () => {
  it('is never taken for the other, whatever it begins with', async () => {
    const { root, driver, file } = await open()
    await publish(driver, 'a', randomBytes(100_000))
    const looksEncrypted = await readFile(file('a'))
    const off = await open({ root, isOn: false })
    await publish(off.driver, 'b', looksEncrypted)
    await publish(driver, 'c', looksEncrypted)
    for (const { driver: each } of [await open({ root }), off])
      for (const path of ['b', 'c']) assert.ok((await readAll(each, path))?.equals(looksEncrypted))
  })

  it('is served side by side, and what is pushed again is encrypted', async () => {
    const { root, inner, driver: first } = await open({ isOn: false })
    await publish(first, 'old', Buffer.from('plain'))
    await first.append('holdfast/uploads/begun', 0, streamOf(Buffer.from('begun ')), ignore)
    const { driver, file } = await open({ root })
    assert.equal(String(await readAll(driver, 'old')), 'plain')
    assert.deepEqual(await driver.list(''), await inner.list(''))
    await publish(driver, 'old', Buffer.from('plain'))
    assert.equal(await inner.stat('old'), undefined)
    assert.equal(String(await readAll(driver, 'old')), 'plain')
    // An upload that was begun before is encrypted when it is published.
    await driver.append('holdfast/uploads/begun', 6, streamOf(Buffer.from('before')), ignore)
    await driver.publish('holdfast/uploads/begun', 'begun')
    assert.equal(String(await readAll(driver, 'begun')), 'begun before')
    assert.ok(!(await readFile(file('begun'))).includes('begun'))
    assert.equal(await inner.stat('begun'), undefined)
  })

  it('goes on where it was begun when encryption is switched off', async () => {
    const { root, driver } = await open()
    await publish(driver, 'a', Buffer.from('encrypted'))
    await driver.append('holdfast/uploads/begun', 0, streamOf(randomBytes(100_000)), ignore)
    const off = await open({ root, isOn: false })
    assert.equal(String(await readAll(off.driver, 'a')), 'encrypted')
    await off.driver.append('holdfast/uploads/begun', 100_000, streamOf(randomBytes(5)), ignore)
    assert.equal((await readAll(off.driver, 'holdfast/uploads/begun'))?.length, 100_005)
    await off.driver.publish('holdfast/uploads/begun', 'b')
    assert.equal((await off.driver.stat('b'))?.size, 100_005)
    await publish(off.driver, 'a', Buffer.from('plain now'))
    assert.equal(String(await off.inner.get('a')), 'plain now')
    assert.equal(String(await readAll(off.driver, 'a')), 'plain now')
  })
})

describe('keys', () => {
  const wrongOne: MasterKeyOptions = { ...one, key: '33'.repeat(32) }

  it('that are wrong or missing are told at the start', async () => {
    const { root } = await open()
    await assert.rejects(
      open({ root, keys: [wrongOne] }),
      /the key "one" .* another key than the one blobs were encrypted/,
    )
    await assert.rejects(open({ root, keys: [two] }), /the key "one" .* is missing, and blobs are encrypted with it/)
    assert.equal((await readdir(join(root, 'holdfast/encryption-keys'))).length, 1)
  })

  it('change while every blob stays as it is', async () => {
    const { root, driver, file } = await open()
    await publish(driver, 'a', Buffer.from('by one'))
    const before = await readFile(file('a'))
    const both = await open({ root, keys: [two, one] })
    await publish(both.driver, 'b', Buffer.from('by two'))
    // A node that was started before finds the new key by itself, if it may know it.
    const other = await open({ root, keys: [one, two] })
    await publish(both.driver, 'c', Buffer.from('by two as well'))
    assert.equal(String(await readAll(other.driver, 'c')), 'by two as well')
    assert.equal(await both.keyring.rewrap(), 1)
    assert.equal(await both.keyring.rewrap(), 0)
    const only = await open({ root, keys: [two] })
    assert.equal(String(await readAll(only.driver, 'a')), 'by one')
    assert.equal(String(await readAll(only.driver, 'b')), 'by two')
    assert.ok((await readFile(file('a'))).equals(before))
    await assert.rejects(open({ root, keys: [one] }), /the key "two" .* is missing/)
  })

  it('of nodes that start at once are all kept', async () => {
    const root = join(folder, String(count++))
    const nodes = await Promise.all(Array.from({ length: 5 }, () => open({ root })))
    for (const [i, { driver }] of nodes.entries()) await publish(driver, `blob/${i}`, Buffer.from(`of node ${i}`))
    for (const { driver } of [...nodes, await open({ root })])
      for (const i of nodes.keys()) assert.equal(String(await readAll(driver, `blob/${i}`)), `of node ${i}`)
  })

  it('come from a file', async () => {
    const path = join(folder, 'key')
    const key = randomBytes(32)
    for (const content of [key, key.toString('hex'), `${key.toString('base64')}\n`]) {
      await writeFile(path, content)
      const { root } = await open({ keys: [{ id: 'file', kind: 'file', path }] })
      await open({ root, keys: [{ id: 'file', kind: 'key', key: key.toString('hex') }] })
    }
    await writeFile(path, 'too short')
    await assert.rejects(open({ keys: [{ id: 'file', kind: 'file', path }] }), (error: Error) => {
      assert.match(error.message, /the key "file" of .*key holds no key: expected 32 bytes/)
      assert.doesNotMatch(error.message, /too short/)
      return true
    })
    await assert.rejects(
      open({ keys: [{ id: 'file', kind: 'file', path: '/none' }] }),
      /\/none cannot be read \(ENOENT\)/,
    )
  })

  it('come from a program that is asked once for each', async () => {
    const program = join(folder, 'kms.mjs')
    const calls = join(folder, 'calls')
    await writeFile(
      program,
      `import { createCipheriv, createDecipheriv } from 'node:crypto'
       import { appendFileSync, readFileSync } from 'node:fs'
       const action = process.argv.at(-1)
       appendFileSync(${JSON.stringify(calls)}, action + '\\n')
       const input = Buffer.from(readFileSync(0, 'utf8'), 'base64')
       const make = action === 'wrap' ? createCipheriv : createDecipheriv
       const cipher = make('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16))
       process.stdout.write(Buffer.concat([cipher.update(input), cipher.final()]).toString('base64') + '\\n')`,
    )
    const keys: MasterKeyOptions[] = [{ id: 'kms', kind: 'command', command: [process.execPath, program] }]
    const { root, driver } = await open({ keys })
    for (const name of ['a', 'b', 'c']) await publish(driver, name, Buffer.from(name))
    const { driver: again } = await open({ root, keys })
    for (const name of ['a', 'b', 'c']) assert.equal(String(await readAll(again, name)), name)
    assert.deepEqual((await readFile(calls, 'utf8')).trim().split('\n'), ['wrap', 'unwrap', 'unwrap'])
  })

  it('from a program that fails or says nothing useful are told in one line', async () => {
    for (const [script, message] of [
      ['console.error("no access"); process.exit(3)', /the key "kms" of .* wrap failed with 3: no access$/],
      ['console.log("{}")', /wrap gave no base64$/],
    ] as const) {
      const command = [process.execPath, '-e', script]
      await assert.rejects(open({ keys: [{ id: 'kms', kind: 'command', command }] }), message)
    }
    await assert.rejects(open({ keys: [{ id: 'kms', kind: 'command', command: ['/none'] }] }), /failed with ENOENT$/)
  })
})

it('keys are wrapped as RFC 3394 has it', () => {
  const key = Buffer.from('000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F', 'hex')
  const data = Buffer.from('00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F', 'hex')
  const wrapped = '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21'
  assert.equal(wrap(data, key).toString('hex'), wrapped)
})
