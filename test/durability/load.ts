import { randomBytes } from 'node:crypto'
import { sha256 } from '../support/registry.ts'
import { type Client, createClient } from './client.ts'
import {
  type Findings,
  type Image,
  inspect,
  makeImage,
  pushBlobBy,
  putManifest,
  type Random,
  type Way,
} from './images.ts'

/** What the server said, to hold it to. */
export interface Ledger {
  acknowledged: Image[]
  /** Manifests sent and not acknowledged: they may be there or not. */
  open: Image[]
  /** For each `repository:tag` the digests it may point to: the last acknowledged one and those sent since. */
  tags: Map<string, { image: Image; acknowledged: boolean }[]>
  /** Answers that no fault explains. */
  refused: string[]
  /** The power is being cut: what is acknowledged from here on may have been so after it was gone. */
  isCut: boolean
}

export function createLedger(): Ledger {
  return { acknowledged: [], open: [], tags: new Map(), refused: [], isCut: false }
}

const ways: Way[] = ['post', 'put', 'patch']
const sizes = [0, 300, 5000, 60_000]

/**
 * Pushes small images with several clients until stopped or cut off. Each client has a repository of its own and moves its tag
 * `latest` with every second image; some layers are mounted from another repository.
 */
export function startLoad(url: string, ledger: Ledger, random: Random, clients = 12) {
  const client = createClient(url, { connections: clients })
  let stopped = false

  async function pushLayer(repository: string, image: Image, mountFrom: string | undefined): Promise<number> {
    if (mountFrom !== undefined) {
      const query = `mount=${sha256(image.layer)}&from=${mountFrom}`
      return (await client.request('POST', `/v2/${repository}/blobs/uploads/?${query}`)).status
    }
    return (await pushBlobBy(client, repository, image.layer, ways[Math.floor(random() * 3)]!)).status
  }

  async function pushOne(repository: string, turn: number): Promise<void> {
    const donor = random() < 0.15 ? ledger.acknowledged.at(-1) : undefined
    const layer = donor?.layer ?? randomBytes(sizes[Math.floor(random() * sizes.length)]!)
    const image = makeImage(repository, turn % 2 === 0 ? 'latest' : `t${turn}-${randomBytes(4).toString('hex')}`, layer)
    const layerStatus = await pushLayer(repository, image, donor?.repository)
    const configStatus = (await pushBlobBy(client, repository, image.config, ways[Math.floor(random() * 3)]!)).status
    if (layerStatus !== 201 || configStatus !== 201)
      return void ledger.refused.push(`blob of ${repository}: ${layerStatus}, ${configStatus}`)
    const key = `${repository}:${image.tag}`
    ledger.open.push(image)
    const candidates = ledger.tags.get(key) ?? []
    ledger.tags.set(key, candidates)
    candidates.push({ image, acknowledged: false })
    const { status } = await putManifest(client, image, image.tag)
    if (status !== 201) return void ledger.refused.push(`manifest of ${repository}: ${status}`)
    if (ledger.isCut) return
    ledger.open.splice(ledger.open.indexOf(image), 1)
    ledger.acknowledged.push(image)
    ledger.tags.set(key, [{ image, acknowledged: true }])
  }

  async function run(repository: string): Promise<void> {
    for (let turn = 0; !stopped; turn++) {
      try {
        await pushOne(repository, turn)
      } catch {
        return // cut off: the server is gone
      }
    }
  }

  const runs = Array.from({ length: clients }, (_, index) => run(`team${index % 3}/app${index}`))
  return {
    async stop(): Promise<void> {
      stopped = true
      await Promise.all(runs)
      client.close()
    },
  }
}

/** Holds the server to the ledger, with several connections at once. */
export async function verify(client: Client, ledger: Ledger, found: Findings): Promise<void> {
  const checks: (() => Promise<void>)[] = [
    ...ledger.acknowledged.map((image) => () => inspect(client, image, true, found)),
    ...ledger.open.map((image) => () => inspect(client, image, false, found)),
    ...[...ledger.tags].map(
      ([key, candidates]) =>
        () =>
          verifyTag(client, key, candidates, found),
    ),
  ]
  const next = checks[Symbol.iterator]()
  const work = async () => {
    for (const check of next) await check()
  }
  await Promise.all(Array.from({ length: 12 }, work))
}

async function verifyTag(
  client: Client,
  key: string,
  candidates: { image: Image; acknowledged: boolean }[],
  found: Findings,
): Promise<void> {
  const [repository, tag] = key.split(':')
  const { status, body } = await client.request('GET', `/v2/${repository}/manifests/${tag}`)
  if (status === 200 && candidates.some(({ image }) => image.manifest.equals(body))) return
  if (status === 404 && candidates.every(({ acknowledged }) => !acknowledged)) return
  if (status >= 500) found.serverErrors++
  else if (status === 200) found.wrongBytes++
  else found.lost++
  found.details.push(`tag ${key}: ${status}`)
}
