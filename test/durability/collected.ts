import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { startRegistry } from '../support/registry.ts'
import { type Client, createClient } from './client.ts'
import { createRandom, type Image, inspect, makeImage, noFindings, pushWhole, type Random } from './images.ts'

interface CollectedOptions {
  trials: number
  seed?: number
  progress?: (soFar: object) => void
}

interface Known extends Image {
  /** What the client was told last, or asked without being told. */
  is: 'asked for' | 'pushed' | 'perhaps deleted'
}

const env = { HOLDFAST_GC_GRACE: '0s', HOLDFAST_TRASH_KEEP: '1h', HOLDFAST_GC_FUSE: '100' }
const repositories = ['team/a', 'team/b']
const clients = 4
/** Few, so that images share them and they come again after they were collected. */
const layers = Array.from({ length: 12 }, (_, index) => Buffer.from(`layer ${index} `.repeat(100)))

/** Pushes, deletes and collections with a SIGKILL at a random moment, and two hours between the lives. */
export async function runCollected({ trials, seed = 1, progress }: CollectedOptions) {
  const random = createRandom(seed)
  const data = await mkdtemp(join(tmpdir(), 'holdfast-collected-'))
  const found = noFindings()
  const total = { trials: 0, pushed: 0, deleted: 0, files: 0 }
  let images: Known[] = []
  try {
    for (; total.trials < trials; total.trials++) {
      const server = await startRegistry({ data, env })
      const client = createClient(server.url)
      const life = { isOver: false }
      const working = Array.from({ length: clients }, () => work(client, images, life, random))
      await setTimeout(200 + random() * 1500)
      await server.stop('SIGKILL')
      life.isOver = true
      await Promise.all(working)
      client.close()
      total.pushed = images.filter((image) => image.is === 'pushed').length
      total.deleted = images.filter((image) => image.is === 'perhaps deleted').length
      age(data)
      if ((total.trials + 1) % 5 === 0) {
        images = await check(data, images, found)
        progress?.({ ...total, ...found })
      }
    }
    total.files = (await settle(data, images)).length
    return { ...total, ...found }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

async function work(client: Client, images: Known[], life: { isOver: boolean }, random: Random): Promise<void> {
  const pick = <T>(items: T[]) => items[Math.floor(random() * items.length)]!
  while (!life.isOver)
    try {
      const pushed = images.filter(({ is }) => is === 'pushed')
      const old = pushed.length > 30 && random() < 0.5 ? pick(pushed) : undefined
      if (old) {
        old.is = 'perhaps deleted'
        await client.request('DELETE', `/v2/${old.repository}/manifests/${old.digest}`)
        continue
      }
      const made = makeImage(pick(repositories), `t${Math.floor(random() * 1e9)}`, pick(layers))
      const image: Known = { ...made, is: 'asked for' }
      images.push(image)
      if ((await pushWhole(client, image)).status === 201) image.is = 'pushed'
    } catch {
      await setTimeout(5) // it was killed
    }
}

/** Two hours pass while nothing runs. */
function age(data: string): void {
  const database = new DatabaseSync(join(data, 'holdfast/holdfast.db'), { timeout: 5000 })
  const hours = 2 * 3_600_000
  database.exec(`
    update blob_link set doubted_at = doubted_at - ${hours} where doubted_at > 0;
    update manifest set trashed_at = trashed_at - ${hours};
    update doomed set since = since - ${hours};
    update upload set started_at = started_at - ${24 * hours}`)
  database.close()
}

/** Reads all that was acknowledged; gives what is still there. */
async function check(data: string, images: Known[], found: ReturnType<typeof noFindings>): Promise<Known[]> {
  const server = await startRegistry({ data, env })
  const client = createClient(server.url)
  const left = []
  for (const image of images) {
    await inspect(client, image, image.is === 'pushed', found)
    const { status } = await client.request('HEAD', `/v2/${image.repository}/manifests/${image.digest}`)
    if (status === 200) left.push(image)
  }
  client.close()
  await server.stop()
  return left
}

/** Lets the collector end its work; gives the files of blobs, which are those of the images and no more. @throws when others stay */
async function settle(data: string, images: Known[]): Promise<string[]> {
  const left = await check(data, images, noFindings())
  const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
  const needed = left.flatMap(({ manifest, config, layer }) => [manifest, config, layer].map(sha256))
  const expected = [...new Set(needed)].toSorted()
  let files: string[] = []
  for (let round = 0; round < 8; round++) {
    age(data)
    const server = await startRegistry({ data, env: { ...env, HOLDFAST_GC_UNTAGGED: 'false' } })
    for (const end = Date.now() + 3000; Date.now() < end && files.join() !== expected.join(); await setTimeout(100))
      files = await blobFiles(data)
    await server.stop()
    if (files.join() === expected.join()) return files
  }
  const more = files.filter((file) => !expected.includes(file)).length
  throw new Error(`${files.length} files are left, ${more} of them needed by nothing; expected ${expected.length}`)
}

/** Files that the database knows of. Others, which a crash left between publishing and committing, are swept when they are a day old. */
async function blobFiles(data: string): Promise<string[]> {
  const database = new DatabaseSync(join(data, 'holdfast/holdfast.db'), { timeout: 5000 })
  const rows = database
    .prepare('select digest from blob union select digest from manifest union select digest from doomed')
    .all()
  database.close()
  const known = new Set(rows.map(({ digest }) => String(digest)))
  const root = join(data, 'docker/registry/v2/blobs/sha256')
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []) // one went meanwhile
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath }) => parentPath.split('/').at(-1)!)
    .filter((hex) => known.has(`sha256:${hex}`))
    .toSorted()
}
