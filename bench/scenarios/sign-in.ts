import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must, putManifest, run, seedManifest } from '../load.ts'
import { cpuOf, type Row, row } from '../measure.ts'
import { type Product, startProduct } from '../products.ts'
import { get } from './manifests.ts'

const repetitions = 9
const form = 'application/x-www-form-urlencoded'
const password = `Basic ${Buffer.from('ann:secret').toString('base64')}`

/** What signing in by tokens costs: a pull with one, and to be given one. Both registries run at once, and take turns. */
export async function signIn(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-tokens-'))
  const file = join(folder, 'htpasswd')
  await writeFile(file, await run('htpasswd', ['-Bbn', '-C', '10', 'ann', 'secret']))
  const open = await startProduct('holdfast', { folder: join(folder, 'open') })
  const manifest = await seedManifest(open.url, 'bench/app')
  await putManifest(open.url, 'bench/app', 'v1', manifest)
  await open.stop()
  await cp(join(folder, 'open'), join(folder, 'closed'), { recursive: true })
  const alone = { HOLDFAST_PROCESSES: '1' }
  const variables = { ...alone, ...variablesFor(file) }
  const sides = [
    await startProduct('holdfast', { folder: join(folder, 'open'), variables: alone }),
    await startProduct('holdfast', { folder: join(folder, 'closed'), port: 5312, variables }),
  ] as const
  try {
    return await measure(sides, join(folder, 'form'))
  } finally {
    for (const side of sides) await side.stop()
    await rm(folder, { recursive: true })
  }
}

async function measure([open, closed]: readonly [Product, Product], body: string): Promise<Row[]> {
  const { token, refresh } = await signedIn(closed)
  const scope = 'scope=repository:bench/app:pull,push'
  const url = `${closed.url}/token?service=holdfast&${scope}`
  await writeFile(body, `grant_type=refresh_token&refresh_token=${refresh}&${scope}`)
  for (const side of [open, closed]) await pull(side, `Bearer ${token}`, 5) // warm
  const [pulls, byPassword, byRefresh]: [number[], number[], number[]] = [[], [], []]
  for (let i = 0; i < repetitions; i++) {
    const without = await microseconds(open, () => pull(open))
    pulls.push((await microseconds(closed, () => pull(closed, `Bearer ${token}`))) / without)
    byPassword.push(await microseconds(closed, () => get(url, [`Authorization: ${password}`], 2)))
    byRefresh.push(await microseconds(closed, () => post(`${closed.url}/token`, body)))
  }
  const [unit, target] = ['µs of CPU a request', { atMost: 1000 }]
  const times = { unit: 'times one without', target: { atMost: 1.3 } }
  return [
    row({ work: 'manifest GET with a bearer token', ...times }, { holdfast: pulls }),
    row({ work: 'a token for a password that is remembered', unit, target }, { holdfast: byPassword }),
    row({ work: 'a token for a refresh token', unit, target }, { holdfast: byRefresh }),
  ]
}

function variablesFor(file: string): Record<string, string> {
  const tokens = { HOLDFAST_TOKENS_ENABLED: 'true', HOLDFAST_TOKENS_EXPIRATION: '1h' }
  return { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: file, ...tokens }
}

async function signedIn({ url }: Product): Promise<{ token: string; refresh: string }> {
  const fields = { grant_type: 'password', username: 'ann', password: 'secret', access_type: 'offline' }
  const text = new URLSearchParams({ ...fields, scope: 'repository:bench/app:pull' }).toString()
  const { body } = await must(200, 'POST', `${url}/token`, Buffer.from(text), { 'Content-Type': form })
  const { access_token: token, refresh_token: refresh } = JSON.parse(body.toString()) as Record<string, string>
  return { token: token!, refresh: refresh! }
}

function pull({ url }: Product, authorization?: string, seconds = 2): Promise<number> {
  const headers = authorization === undefined ? [] : [`Authorization: ${authorization}`]
  return get(`${url}/v2/bench/app/manifests/v1`, headers, seconds)
}

/** Posts a file again and again; gives the number of requests that were answered in two seconds. */
async function post(url: string, body: string): Promise<number> {
  const output = await run('ab', ['-q', '-k', '-l', '-c32', '-t2', '-n10000000', '-p', body, '-T', form, url])
  if (output.includes('Non-2xx')) throw new Error(`${url} is refused: ${output}`)
  return Number(/Complete requests:\s+(\d+)/.exec(output)?.[1])
}

async function microseconds(product: Product, work: () => Promise<number>): Promise<number> {
  let requests = 0
  const cpu = await cpuOf(product, async () => {
    requests = await work()
  })
  return (cpu / requests) * 1e6
}
