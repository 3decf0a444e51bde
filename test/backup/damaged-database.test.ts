import assert from 'node:assert/strict'
import { cp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { holdfast } from '../support/holdfast.ts'
import { startRegistry } from '../support/registry.ts'
import { expectWhole, push, useFolder } from './tools.ts'

// A volume whose images are whole and whose database is not.

const folder = await useFolder()
let images: Awaited<ReturnType<typeof push>>
before(async () => {
  const registry = await startRegistry({ data: join(folder, 'base') })
  images = await push(registry, 3, 'team')
  await registry.stop()
  await must('db', 'backup', join(folder, 'copy.db'), '--data', join(folder, 'base'))
  await must('backup', join(folder, 'backup'), '--data', join(folder, 'base'))
})

async function must(...args: string[]): Promise<string> {
  const { code, output } = await holdfast(...args)
  assert.equal(code, 0, output)
  return output
}

const damages: Record<string, (file: string) => Promise<void>> = {
  'file is not a database': (file) => writeFile(file, 'no database\n'.repeat(1000)),
  async 'database disk image is malformed'(file) {
    const database = await open(file, 'r+')
    await database.write(Buffer.alloc(60 * 4096, 0xa5), 0, undefined, 4 * 4096)
    await database.close()
  },
}

async function damaged(how: string): Promise<string> {
  const data = join(folder, `damaged-${Math.random()}`)
  await cp(join(folder, 'base'), data, { recursive: true, preserveTimestamps: true })
  await damages[how]!(join(data, 'holdfast/holdfast.db'))
  return data
}

async function expectServed(data: string): Promise<void> {
  const registry = await startRegistry({ data })
  await expectWhole(registry.url, images)
  await registry.stop()
  assert.equal(await must('fsck', '--data', data), 'nothing is wrong\n')
}

for (const how of Object.keys(damages)) {
  it(`${how}: everything says so in one line, with what to do`, async () => {
    const data = await damaged(how)
    const commands = {
      serve: 1,
      fsck: 2,
      'garbage-collect': 1,
      [`backup ${join(folder, 'backup')}`]: 2,
      [`db backup ${join(folder, 'other.db')}`]: 1,
      [`db migrate ${join(folder, 'elsewhere')}`]: 1,
      'admin user ls': 1,
    }
    for (const [command, expected] of Object.entries(commands)) {
      const { code, output } = await holdfast(...command.split(' '), '--data', data)
      assert.equal(code, expected, `${command}: ${output}`)
      assert.match(
        output,
        new RegExp(`^holdfast: .*${how}; .*"holdfast db restore".*"holdfast reindex".*\\n$`),
        command,
      )
    }
  })

  it(`${how}: a copy can be restored in its place, and the damaged one is kept`, async () => {
    for (const copy of ['copy.db', join('backup/holdfast/snapshots', await snapshot())]) {
      const data = await damaged(how)
      await must('db', 'restore', join(folder, copy), '--data', data)
      await expectServed(data)
      assert.ok((await readdir(join(data, 'holdfast'))).some((name) => /^holdfast\.db\.\d{4}-.*Z$/.test(name)))
    }
  })

  it(`${how}: it can be made anew from the files`, async () => {
    const data = await damaged(how)
    await must('reindex', '--data', data)
    await expectServed(data)
  })
}

const snapshot = async () =>
  (await readdir(join(folder, 'backup/holdfast/snapshots'))).find((name) => name.endsWith('.db'))!

it('damage that only a part of the database has is told in one line by whoever meets it', async () => {
  const data = await damaged('file is not a database')
  const file = join(data, 'holdfast/holdfast.db')
  await cp(join(folder, 'base/holdfast/holdfast.db'), file)
  const database = new DatabaseSync(file)
  const pages = database.prepare("select rootpage from sqlite_schema where name in ('event', 'blob_link')").all()
  database.close()
  const bytes = await open(file, 'r+')
  for (const { rootpage } of pages) await bytes.write(Buffer.alloc(4096, 0xa5), 0, 4096, (Number(rootpage) - 1) * 4096)
  await bytes.close()
  const advice = /malformed; .*holdfast db restore.*holdfast reindex/
  const checked = await holdfast('fsck', '--data', data)
  assert.deepEqual([checked.code, checked.output.split('\n').length], [2, 2], checked.output)
  assert.match(checked.output, advice)
  const registry = await startRegistry({ data })
  await registry.stop()
  const told = registry
    .errors()
    .split('\n')
    .filter((line) => line.includes('malformed'))
  assert.ok(told.length > 0 && told.every((line) => advice.test(line) && !line.includes('\\n    at ')), told.join('\n'))
  await must('db', 'restore', join(folder, 'copy.db'), '--data', data)
  await expectServed(data)
})

it('a database that is whole is not replaced', async () => {
  const { code, output } = await holdfast('db', 'restore', join(folder, 'copy.db'), '--data', join(folder, 'base'))
  assert.equal(code, 1)
  assert.match(output, /is there already; move it away/)
})

it('the log of a database that is gone is not played into the restored one', async () => {
  const data = await damaged('file is not a database')
  const file = join(data, 'holdfast/holdfast.db')
  await cp(join(folder, 'copy.db'), file)
  const other = new DatabaseSync(file)
  other.exec('pragma journal_mode = wal; pragma wal_autocheckpoint = 0; delete from tag; delete from manifest')
  await cp(`${file}-wal`, `${file}-kept`)
  other.close()
  await rm(file)
  await cp(`${file}-kept`, `${file}-wal`)
  await must('db', 'restore', join(folder, 'copy.db'), '--data', data)
  await expectServed(data)
})
