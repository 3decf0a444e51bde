import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { digestOf } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { createSqliteStore } from '../metadata/sqlite/store.ts'
import { createFilesystem } from '../storage/filesystem.ts'
import { createFollower } from './follow.ts'
import { currentLink, layerLink, revisionLink, tagPath } from './layout.ts'
import { createTreeWriter } from './write.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-follow-'))
const time = { ms: Date.UTC(2030, 0, 1) }
const clock = { now: () => new Date((time.ms += 1000)) }
const store = createSqliteStore({ folder: join(folder, 'holdfast'), clock })
const storage = createFilesystem(folder)
after(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})
const actor = { name: '', address: '' }
const logged: string[] = []
const tell = (event: string) => void logged.push(event)
const log = { debug: tell, info: tell, warn: tell, error: tell }

function follower(disk = storage, isRemote = false) {
  const [writer, lateWriter] = [createTreeWriter(disk), createTreeWriter(disk, true)]
  return createFollower({ writer, lateWriter, metadata: store, log, isRemote })
}
async function push(text: string, tags: string[], repository = 'app') {
  const content = Buffer.from(text)
  const manifest = { digest: digestOf(content), mediaType: mediaTypes.image, content }
  const unset = { artifactType: undefined, subject: undefined, annotations: undefined, references: [] }
  await store.manifests.push({ repository, manifest, tags, ...unset }, actor)
  return manifest.digest
}
const linkAt = async (path: string) => String(await storage.get(path))

describe('the follower', () => {
  it('writes the tree from the events, again without harm, with their moments as times', async () => {
    const [one, two] = [await push('one', ['a', 'b']), await push('two', ['a'])]
    const gone = await push('gone', ['c'])
    await store.manifests.delete('app', gone, actor)
    for (let i = 0; i < 2; i++) await follower().replay(0)
    assert.equal(await linkAt(currentLink('app', 'a')), two)
    assert.equal(await linkAt(currentLink('app', 'b')), one)
    assert.equal(await storage.stat(revisionLink('app', gone)), undefined)
    assert.deepEqual(await storage.list(tagPath('app', 'c')), [])
    const facts = await store.volume.of('app')
    for (const [tag, { movedAt }] of facts.tags)
      assert.equal((await storage.stat(currentLink('app', tag)))?.modifiedAt.getTime(), movedAt)
    for (const [digest, { pushedAt }] of facts.manifests)
      assert.equal((await storage.stat(revisionLink('app', digest)))?.modifiedAt.getTime(), pushedAt)
  })

  it('leaves what another registry wrote after the event', async () => {
    const before = await store.volume.lastEvent()
    await push('three', ['later', 'stays'])
    await store.tags.delete('app', 'stays', actor)
    const other = digestOf(Buffer.from('elsewhere'))
    for (const tag of ['later', 'stays'])
      await storage.put(currentLink('app', tag), Buffer.from(other), new Date(time.ms + 60_000))
    await follower().replay(before)
    assert.equal(await linkAt(currentLink('app', 'later')), other)
    assert.equal(await linkAt(currentLink('app', 'stays')), other)
  })

  it('drains what is left when it stops', async () => {
    const running = follower()
    running.start(await store.volume.lastEvent())
    const pushed = await push('last', ['last'])
    running.notice()
    await running.stop()
    assert.equal(await linkAt(currentLink('app', 'last')), pushed)
    assert.equal(running.applied(), await store.volume.lastEvent())
    assert.ok(running.isWhole())
  })

  it('goes on after what cannot be written, and knows that the tree lacks something', async () => {
    const digest = digestOf(Buffer.from('unwritable'))
    const put: typeof storage.put = (path, ...rest) =>
      path === layerLink('app', digest)
        ? Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }))
        : storage.put(path, ...rest)
    const running = follower({ ...storage, put })
    const before = await store.volume.lastEvent()
    await store.blobs.commit({ repository: 'app', digest, size: 1, upload: '' }, actor)
    const pushed = await push('after', ['after'])
    await running.replay(before)
    assert.equal(await linkAt(currentLink('app', 'after')), pushed)
    assert.equal(running.isWhole(), false)
    assert.deepEqual(logged, ['volume.follow-failed'])
  })

  it('writes many repositories at a time where writing is waiting, each in the order of its events', async () => {
    const before = await store.volume.lastEvent()
    const names = Array.from({ length: 30 }, (_, index) => `many/${index}`)
    for (const tag of ['old', 'new']) for (const name of names) await push(`${name} ${tag}`, ['moves'], name)
    let [waiting, most] = [0, 0]
    const put: typeof storage.put = async (...args) => {
      most = Math.max(most, ++waiting)
      await new Promise((resolve) => setImmediate(resolve))
      await storage.put(...args)
      waiting--
    }
    const running = follower({ ...storage, put }, true)
    await running.replay(before)
    for (const name of names)
      assert.equal(await linkAt(currentLink(name, 'moves')), digestOf(Buffer.from(`${name} new`)))
    assert.equal(running.applied(), await store.volume.lastEvent())
    assert.ok(most > 4 && most <= 16, `${most} at a time`)
  })
})
