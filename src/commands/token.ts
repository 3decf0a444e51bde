import { failure } from './client/failure.ts'
import { print, printList, printOne, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast token VERB

Your access tokens, or with --robot those of a robot.

  ls                    list them
  create NAME           make one; the secret is told once
  rotate ID             give it a new secret
  rm ID                 revoke it

  --robot ORG/ROBOT     of a robot
  --scope SCOPE         repo:read, repo:write, repo:delete, repo:admin, org:read, org:admin or admin; may be repeated
                        (repo:read and repo:write)
  --repo PATTERN        only for these repositories, such as acme/*; may be repeated
  --expires DAYS        how long it is good (90; 0: for ever)
  --overlap SECONDS     how long the old secret stays good (0)
${commonUsage}`

/** `holdfast token`. */
export async function run(args: string[]): Promise<void> {
  const options = {
    robot: { type: 'string' },
    scope: { type: 'string', multiple: true },
    repo: { type: 'string', multiple: true },
    expires: { type: 'string' },
    overlap: { type: 'string' },
  } as const
  const verbs = {
    ls: { names: 0, run: list },
    create: { names: 1, run: create },
    rotate: { names: 1, run: rotate },
    rm: { names: 1, run: remove },
  }
  await runVerb({ usage, options, verbs }, args)
}

async function list(given: Given): Promise<void> {
  const items = await askAll<Record<string, unknown>>(given.registry(), base(given))
  printList(given.form, items, ['id', 'name', 'scopes', 'repositories', 'expiresAt', 'lastUsedAt'])
}

async function create(given: Given): Promise<void> {
  const body = {
    name: given.names[0],
    scopes: given.texts('scope'),
    repositories: given.texts('repo'),
    expiresInDays: numberOf(given, 'expires'),
  }
  show(given, await ask(given.registry(), 'POST', base(given), { body }))
}

async function rotate(given: Given): Promise<void> {
  const body = { overlapSeconds: numberOf(given, 'overlap'), expiresInDays: numberOf(given, 'expires') }
  show(
    given,
    await ask(given.registry(), 'POST', `${base(given)}/${encodeURIComponent(given.names[0]!)}/rotate`, { body }),
  )
}

async function remove(given: Given): Promise<void> {
  await ask(given.registry(), 'DELETE', `${base(given)}/${encodeURIComponent(given.names[0]!)}`)
  tell(`Revoked ${given.names[0]}`)
}

/** The secret alone on standard output, for scripts. */
function show({ form }: Given, token: { id: string; secret: string; account: string; expiresAt: string | null }): void {
  if (form !== 'table') return printOne(form, { ...token }, 'secret')
  const end = token.expiresAt === null ? 'for ever' : `until ${token.expiresAt}`
  tell(`Token ${token.id} of ${token.account}, good ${end}; keep it now, it is not told again:`)
  print(token.secret)
}

function base(given: Given): string {
  const robot = given.text('robot')
  if (robot === undefined) return '/tokens'
  const [organization, name, ...rest] = robot.split('/')
  if (!organization || !name || rest.length > 0) throw failure('usage', `--robot ${robot}: expected ORG/ROBOT`)
  return `/orgs/${encodeURIComponent(organization)}/robots/${encodeURIComponent(name)}/tokens`
}

function numberOf(given: Given, option: string): number | undefined {
  const text = given.text(option)
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw failure('usage', `--${option} ${text}: expected a number`)
  return Number(text)
}
