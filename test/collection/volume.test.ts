import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { pull, statusOf } from '../support/inventory.ts'
import { collectGarbage, startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { pushIndex, pushText, remove } from '../support/push.ts'
import { pushBlob, startRegistry } from '../support/registry.ts'

/** Digests of the blob files of a volume. */
async function filesOf(data: string): Promise<string[]> {
  const root = join(data, 'docker/registry/v2/blobs')
  const found = await readdir(root, { recursive: true, withFileTypes: true })
  return found.filter((one) => one.isFile()).map(({ parentPath }) => `sha256:${parentPath.split('/').at(-1)}`)
}
const partsOf = (text: string) =>
  [JSON.stringify({ os: 'linux', text }), `layer of ${text}`].map((part) => digestOf(part))

async function withVolume(work: (data: string) => Promise<void>): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'holdfast-gc-'))
  await work(data).finally(() => rm(data, { recursive: true }))
}

describe('garbage-collect', () => {
  it('frees what a stopped registry does not need, and nothing else', { timeout: 60_000 }, () =>
    withVolume(async (data) => {
      const first = await startRegistry({ data })
      for (const tag of ['v1', 'v2']) await pushText(first.url, 'app', tag, tag)
      const index = await pushIndex(first.url, 'multi', 'latest', 'multi')
      const untagged = await pushText(first.url, 'app', undefined, 'untagged')
      await pushBlob(first.url, 'app', Buffer.from('nobody needs this'))
      const running = await holdfast('garbage-collect', '--data', data)
      assert.equal(running.code, 1)
      assert.match(running.output, /another Holdfast is using it.*holdfast admin gc/s)
      await first.stop()

      const before = await filesOf(data)
      const dry = await holdfast('garbage-collect', '--data', data, '-d', '-m')
      assert.match(dry.output, /1 untagged manifests would go to the trash[^]*\n1 blobs would go: 17 bytes/)
      assert.deepEqual(await filesOf(data), before)
      const real = await holdfast('garbage-collect', '--data', data, '-m')
      assert.equal(real.code, 0, real.output)
      assert.match(
        real.output,
        /1 untagged manifests went to the trash.*\n0 manifests of the trash and 1 blobs went: 17 bytes/,
      )
      assert.deepEqual(
        (await filesOf(data)).toSorted(),
        before.filter((one) => one !== digestOf('nobody needs this')).toSorted(),
      )
      assert.deepEqual((await holdfast('garbage-collect', '--data', data, '-q')).output, '')

      const again = await startRegistry({ data })
      for (const tag of ['v1', 'v2']) await pull(again.url, 'app', tag)
      await pull(again.url, 'multi', index.digest)
      assert.equal(await statusOf(again.url, 'app', untagged.digest), 404)
      await again.stop()
    }),
  )
})

describe('a volume that is collected here and by registry:2', { skip: need('docker-registry') }, () => {
  it('of registry:2 keeps all it needs', { timeout: 60_000 }, () =>
    withVolume(async (data) => {
      const other = await startOther('docker-registry', data)
      for (const tag of ['v1', 'v2', 'gone']) await pushText(other.url, 'team/app', tag, tag)
      const gone = await pushText(other.url, 'team/app', 'gone', 'gone')
      await pushIndex(other.url, 'multi', 'latest', 'multi')
      await pushBlob(other.url, 'team/app', Buffer.from('nobody needs this'))
      await remove(other.url, 'team/app', gone.digest)
      await other.stop()

      const { code, output } = await holdfast('garbage-collect', '--data', data, '-m')
      assert.equal(code, 0, output)
      const left = await filesOf(data)
      // registry:2 leaves the files of a manifest it forgot; they are as young as this test.
      for (const digest of [digestOf('nobody needs this'), ...partsOf('gone')])
        assert.ok(!left.includes(digest), digest)
      const back = await startOther('docker-registry', data)
      for (const tag of ['v1', 'v2']) await pull(back.url, 'team/app', tag)
      await pull(back.url, 'multi', 'latest')
      await back.stop()
    }),
  )

  it('says why it keeps what registry:2 would take, and until when', { timeout: 60_000 }, () =>
    withVolume(async (data) => {
      const other = await startOther('docker-registry', data)
      for (const text of ['one', 'two', 'three']) await pushText(other.url, 'team/app', 'latest', text)
      await other.stop()
      for (const options of [['-m', '-d'], ['-m']]) {
        const { code, output } = await holdfast('garbage-collect', '--data', data, ...options)
        assert.equal(code, 0, output)
        const [, moment = ''] =
          /^2 untagged manifests stay, the first until (\S+): .*taken over .*holdfast\.gc\.keeppulled/m.exec(output) ??
          []
        assert.ok(Math.abs(Date.parse(moment) - Date.now() - 30 * 86_400_000) < 60_000, output)
      }
      assert.doesNotMatch((await holdfast('garbage-collect', '--data', data)).output, /stay/)
    }),
  )

  it('of ours survives both collectors, one after the other', { timeout: 60_000 }, () =>
    withVolume(async (data) => {
      const first = await startRegistry({ data })
      for (const tag of ['v1', 'v2']) await pushText(first.url, 'app', tag, tag)
      const deleted = await pushText(first.url, 'app', 'old', 'old')
      await pushIndex(first.url, 'multi', 'latest', 'multi')
      await remove(first.url, 'app', deleted.digest)
      await first.stop()

      assert.equal((await holdfast('garbage-collect', '--data', data)).code, 0)
      for (const part of partsOf('old')) assert.ok((await filesOf(data)).includes(part), 'the trash needs it')
      await collectGarbage('docker-registry', data)
      for (const part of partsOf('old')) assert.ok(!(await filesOf(data)).includes(part), 'registry:2 has no trash')
      assert.equal((await holdfast('garbage-collect', '--data', data)).code, 0)

      const again = await startRegistry({ data })
      for (const tag of ['v1', 'v2']) await pull(again.url, 'app', tag)
      await pull(again.url, 'multi', 'latest')
      await pushText(again.url, 'app', 'old', 'old')
      await pull(again.url, 'app', 'old')
      await again.stop()
      const other = await startOther('docker-registry', data)
      for (const tag of ['v1', 'v2', 'old']) await pull(other.url, 'app', tag)
      await other.stop()
    }),
  )
})
