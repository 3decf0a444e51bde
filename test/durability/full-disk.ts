import { randomBytes } from 'node:crypto'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startRegistry } from '../support/registry.ts'
import { type Client, createClient, type Reply } from './client.ts'
import { createRandom, type Image, inspect, makeImage, noFindings, pushWhole, type Way } from './images.ts'
import { makeTmpfs } from './mounts.ts'

interface FullDiskOptions {
  seed?: number
  /** Refusals to collect before the disk grows. */
  refusals?: number
}

const ways: Way[] = ['post', 'put', 'patch']

/** P4: pushes fill a small file system; then it grows. */
export async function runFullDisk({ seed = 1, refusals = 60 }: FullDiskOptions = {}) {
  const random = createRandom(seed)
  const disk = await makeTmpfs(16)
  const server = await startRegistry({ data: join(disk.path, 'data'), env: { HOLDFAST_STORAGE_RESERVE: '0' } })
  const client = createClient(server.url)
  const acknowledged: Image[] = []
  const refused: Reply[] = []
  try {
    const sizes = [700_000, 100_000, 5000, 400]
    const fill = async (repository: string) => {
      for (let turn = 0; refused.length < refusals; turn++) {
        // Once large layers no longer fit, small ones take the last pages, so that the database too has no room.
        const size = refused.length > refusals / 3 ? 100 : sizes[turn % sizes.length]!
        const image = makeImage(repository, `t${turn}`, randomBytes(size))
        const reply = await pushWhole(client, image, ways[Math.floor(random() * 3)]!)
        if (reply.status === 201) acknowledged.push(image)
        else refused.push(reply)
      }
    }
    const begun = await Promise.all(Array.from({ length: 5 }, () => beginUpload(client)))
    await Promise.all(['a', 'b/c', 'd', 'e/f/g'].map((repository) => fill(repository)))
    await fillToTheLastByte(join(disk.path, 'filler'))
    refused.push(await fillDatabase(client))
    for (const location of begun) {
      await fillToTheLastByte(join(disk.path, 'filler'))
      refused.push(await client.request('PATCH', location, { body: randomBytes(50_000) }))
    }
    await fillToTheLastByte(join(disk.path, 'filler'))
    for (const way of [...ways, ...ways, ...ways])
      refused.push(await pushWhole(client, makeImage('full', 'v1', randomBytes(100)), way))
    const whileFull = await readAll(client, acknowledged)
    const leftovers = await readdir(join(server.data, 'holdfast/uploads')).catch(() => [])
    disk.grow(64)
    const afterwards = Array.from({ length: 30 }, (_, turn) => makeImage('later', `t${turn}`, randomBytes(5000)))
    let recovered = 0
    for (const image of afterwards) if ((await pushWhole(client, image)).status === 201) recovered++
    const afterGrowth = await readAll(client, [...acknowledged, ...afterwards])
    return {
      acknowledged: acknowledged.length,
      refused: refused.length,
      statuses: count(refused.map(({ status, body }) => `${status} ${/"code":"(\w+)"/.exec(body.toString())?.[1]}`)),
      leaks: refused.filter(({ body }) => body.includes(disk.path) || body.includes('holdfast/')).length,
      leftovers: leftovers.length,
      whileFull,
      recovered: `${recovered} of ${afterwards.length}`,
      afterGrowth,
    }
  } finally {
    client.close()
    await server.stop('SIGKILL')
    await disk.dispose()
  }
}

/** An upload with some bytes; gives where it goes on. */
async function beginUpload(client: Client): Promise<string> {
  const begun = await client.request('POST', '/v2/begun/blobs/uploads/')
  const taken = await client.request('PATCH', String(begun.headers.location), { body: randomBytes(50_000) })
  return String(taken.headers.location)
}

async function fillToTheLastByte(path: string): Promise<void> {
  const file = await open(path, 'a')
  try {
    for (;;) await file.write(Buffer.alloc(4096))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    await file.close()
  }
}

/** The database has some room left in its own files: sessions take it. Gives the first refusal. */
async function fillDatabase(client: Client): Promise<Reply> {
  for (;;) {
    const reply = await client.request('POST', '/v2/begun/blobs/uploads/')
    if (reply.status !== 202) return reply
  }
}

async function readAll(client: Client, images: Image[]) {
  const found = noFindings()
  for (const image of images) await inspect(client, image, true, found)
  return found
}

function count(texts: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1
  return counts
}
