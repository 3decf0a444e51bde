import { imageType, sha256 } from '../support/registry.ts'
import type { Client, Reply } from './client.ts'
import { type Findings, inspect, makeImage, pushWhole, putManifest, type Way } from './images.ts'

/** A change whose crash points are swept, in a repository of its own for each trial. */
interface Trial {
  /** Does it; undefined when the server went away. The same again after a fault must succeed. */
  act(): Promise<Reply | undefined>
  /** Tells whether an answer says that it is done. */
  done(reply: Reply): boolean
  /** Whatever the fault, nothing may be wrong; with `acknowledged` it must also be done. */
  check(client: Client, acknowledged: boolean, found: Findings): Promise<void>
}

type Operation = (client: Client, repository: string) => Promise<Trial>

export const operations: Record<string, Operation> = {
  push: pushBy('patch', 100_000),
  'push in one request each': pushBy('post', 1000),

  async 'tag move'(client, repository) {
    const [before, after] = [makeImage(repository, 'v1'), makeImage(repository, 'v2')]
    await demand(pushWhole(client, before))
    await demand(pushWhole(client, after))
    return {
      act: () => putManifest(client, after, 'v1'),
      done: created,
      async check(now, acknowledged, found) {
        await inspect(now, before, true, found)
        await inspect(now, after, true, found)
        const { status, body } = await now.request('GET', `/v2/${repository}/manifests/v1`)
        const right = body.equals(after.manifest) || (!acknowledged && body.equals(before.manifest))
        expect(status === 200 && right, `tag move: ${status}`, status, found)
      },
    }
  },

  async delete(client, repository) {
    const image = makeImage(repository, 'v1')
    await demand(pushWhole(client, image))
    await demand(putManifest(client, image, 'v2'))
    const paths = [`/v2/${repository}/manifests/v2`, `/v2/${repository}/manifests/${image.digest}`]
    return {
      async act() {
        const first = await client.request('DELETE', paths[0]!)
        return [202, 404].includes(first.status) ? client.request('DELETE', paths[1]!) : first
      },
      done: ({ status }) => status === 202 || status === 404,
      async check(now, acknowledged, found) {
        const answers = await Promise.all(
          [...paths, `/v2/${repository}/manifests/v1`].map((path) => now.request('GET', path)),
        )
        for (const { status, body } of answers) {
          const right = status === 404 || (!acknowledged && status === 200 && body.equals(image.manifest))
          expect(right, `delete: ${status}`, status, found)
        }
        // The tag that was left goes with its manifest, not before and not after.
        expect(answers[1]!.status === answers[2]!.status, 'delete: a tag without its manifest', 200, found)
      },
    }
  },

  async mount(client, repository) {
    const image = makeImage(`${repository}/source`, 'v1')
    await demand(pushWhole(client, image))
    const digest = sha256(image.layer)
    return {
      act: () => client.request('POST', `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${image.repository}`),
      done: created,
      async check(now, acknowledged, found) {
        const { status, body } = await now.request('GET', `/v2/${repository}/blobs/${digest}`)
        const right = (status === 200 && body.equals(image.layer)) || (status === 404 && !acknowledged)
        expect(right, `mount: ${status}`, status, found)
        await inspect(now, image, true, found)
      },
    }
  },

  /** A manifest large enough that its commit moves the whole log into the database. */
  async checkpoint(client, repository) {
    const annotations = { fill: 'x'.repeat(2_000_000) }
    const content = { schemaVersion: 2, mediaType: indexType, manifests: [], annotations }
    const manifest = Buffer.from(JSON.stringify(content))
    const path = `/v2/${repository}/manifests/v1`
    return {
      act: () => client.request('PUT', path, { headers: { 'content-type': indexType }, body: manifest }),
      done: created,
      async check(now, acknowledged, found) {
        const { status, body } = await now.request('GET', path)
        const right = (status === 200 && body.equals(manifest)) || (status === 404 && !acknowledged)
        expect(right, `checkpoint: ${status}`, status, found)
      },
    }
  },
}

/** A push of an image whose layer has this many bytes, sent this way. */
function pushBy(way: Way, bytes: number): Operation {
  return async (client, repository) => {
    const image = makeImage(repository, 'v1', Buffer.alloc(bytes, repository))
    return {
      act: () => pushWhole(client, image, way),
      done: created,
      check: (now, acknowledged, found) => inspect(now, image, acknowledged, found),
    }
  }
}

const indexType = imageType.replace('manifest', 'index')

function created({ status }: Reply): boolean {
  return status === 201
}

function expect(right: boolean, what: string, status: number, found: Findings): void {
  if (right) return
  if (status >= 500) found.serverErrors++
  else if (status === 404) found.lost++
  else found.wrongBytes++
  found.details.push(what)
}

async function demand(reply: Promise<Reply>): Promise<void> {
  const { status, body } = await reply
  if (status !== 201) throw new Error(`Cannot prepare: ${status} ${body.toString()}`)
}
