import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, rename, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { createLayout, types } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { createSandbox, type Sandbox } from '../support/sandbox.ts'

const size = 2 ** 31 + 2 ** 20 // more than a signed 32-bit number counts
const memoryLimit = 250e6

describe('a layer of 2 GB', { skip: need('crane') || (await tooLittleSpace()) }, () => {
  let sandbox: Sandbox
  let digest: string
  before(async () => {
    sandbox = await createSandbox()
    digest = await largeImage(sandbox.path('large'))
  })
  after(() => sandbox.dispose())

  it('leaves nothing to see when its push breaks off', async () => {
    const push = ['push', '--insecure', sandbox.path('large'), `${sandbox.host}/large:v1`]
    await assert.rejects(sandbox.run('crane', push, { timeout: 700 }), /SIGKILL/)
    await assert.rejects(sandbox.digest('large', 'v1'), /404/)
  })

  it('is pushed without the server keeping it in memory', async () => {
    const push = ['push', '--insecure', sandbox.path('large'), `${sandbox.host}/large:v1`]
    const events = await sandbox.recorded(() => sandbox.run('crane', push, { timeout: 180_000 }))
    assert.ok(events.some((item) => item.event === 'blob.pushed' && item.digest === digest))
    const peak = await peakMemory(sandbox.registry.pid)
    assert.ok(peak < memoryLimit, `the server took ${peak} bytes`)
  })

  it('comes back byte for byte without the server keeping it in memory', async (test) => {
    const pull = `crane blob --insecure ${sandbox.host}/large@${digest} | sha256sum`
    assert.match(
      await sandbox.run('sh', ['-c', pull], { timeout: 180_000 }),
      new RegExp(digest.slice('sha256:'.length)),
    )
    const peak = await peakMemory(sandbox.registry.pid)
    assert.ok(peak < memoryLimit, `the server took ${peak} bytes`)
    test.diagnostic(`most memory of the server: ${Math.round(peak / 1e6)} MB`)
  })
})

/** A layout with one image of one layer: mostly holes, with some noise in each mebibyte, so that no two are the same. */
async function largeImage(folder: string): Promise<string> {
  const layout = await createLayout(folder)
  const path = `${folder}/layer`
  const file = await open(path, 'w')
  for (let offset = 0; offset < size; offset += 2 ** 20) await file.write(randomBytes(512), 0, 512, offset)
  await file.truncate(size)
  await file.close()
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  const digest = `sha256:${hash.digest('hex')}`
  await rename(path, `${folder}/blobs/${digest.replace(':', '/')}`)
  const rootfs = { type: 'layers', diff_ids: [digest] }
  const config = await layout.blob(types.config, JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs }))
  const layers = [{ mediaType: types.plainLayer, digest, size }]
  const manifest = { schemaVersion: 2, mediaType: types.manifest, config, layers }
  await layout.name(await layout.blob(types.manifest, JSON.stringify(manifest)), 'v1')
  return digest
}

/** The most bytes the process ever had in memory, files it only read aside. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

async function tooLittleSpace(): Promise<string | false> {
  const { bavail, bsize } = await statfs(tmpdir())
  return bavail * bsize < 2 * size ? `${tmpdir()} has less than 4 GB of free space` : false
}
