import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../support/programs.ts'
import { pushImage, startRegistry } from '../support/registry.ts'

const password = 'correct horse battery'
const basic = `Basic ${Buffer.from(`root:${password}`).toString('base64')}`
const scopes = ['admin', 'org:admin', 'org:read', 'repo:admin', 'repo:read', 'repo:write', 'repo:delete']

/** With these an administrator may take away what the run signs in with; they have a run of their own, the last one. */
const ownGround = ['deleteTokensId', 'postTokensIdRotate', 'putUsersName', 'deleteUsersName']

export interface Fuzzing {
  seed: number
  /** Requests by chance for each operation, beside the edges of its schema. */
  examples: number
  /** How long, for both runs. */
  maxSeconds: number
}

/**
 * Has schemathesis ask a real server all that its OpenAPI describes, and what it does not, as an administrator, with every check it
 * knows. Gives what schemathesis wrote. @throws Error with that where a check failed
 */
export async function fuzzApi({ seed, examples, maxSeconds }: Fuzzing): Promise<string> {
  const env = { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: password }
  const registry = await startRegistry({ env })
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-fuzz-')) // it leaves files where it runs
  try {
    await fill(registry.url)
    const outputs: string[] = []
    // Both at once: after the first run this address has to wait with its password.
    const [first, last] = [await makeToken(registry.url), await makeToken(registry.url)]
    for (const [filter, share, token] of [
      ['--exclude-operation-id', 0.8, first],
      ['--include-operation-id', 0.2, last],
    ] as const) {
      const seconds = String(Math.ceil(maxSeconds * share))
      const args = [
        ...['--config-file', join(import.meta.dirname, 'schemathesis.toml'), '--no-color'],
        ...['run', `${registry.url}/api/v1/openapi.json`, '--header', `Authorization: Bearer ${token}`],
        ...['--phases', 'examples,coverage,fuzzing', '--checks', 'all', '--max-examples', String(examples)],
        ...['--seed', String(seed), '--max-time', seconds, '--continue-on-failure', '--warnings', 'off'],
        ...ownGround.flatMap((id) => [filter, id]),
      ]
      outputs.push(await run('st', args, { cwd: folder, timeout: (Number(seconds) + 60) * 1000 }))
    }
    if (/registry\.(failed|error)|panic/i.test(registry.errors())) throw new Error(registry.errors())
    return outputs.join('\n')
  } finally {
    await registry.dispose()
    await rm(folder, { recursive: true, force: true })
  }
}

async function ask(url: string, method: string, path: string, body: object): Promise<Record<string, unknown>> {
  const headers = { Authorization: basic, 'Content-Type': 'application/json' }
  const reply = await fetch(`${url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) })
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`)
  return (await reply.json()) as Record<string, unknown>
}

/** Something to find: names that the run then uses. */
async function fill(url: string): Promise<void> {
  await ask(url, 'PUT', '/orgs/0', {})
  await ask(url, 'PUT', '/orgs/0/robots/0', {})
  await ask(url, 'PUT', '/orgs/0/teams/0', {})
  await pushImage(url, '0/0', '0', [Buffer.from('a layer')], basic)
}

async function makeToken(url: string): Promise<string> {
  return String((await ask(url, 'POST', '/tokens', { name: 'fuzz', scopes })).secret)
}
