import { failure } from './client/failure.ts'
import { printList, printOne, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast repo VERB

  ls                          list the repositories you may pull, and what each holds
  show REPO[:TAG|@DIGEST]     show one with its size, or an image with its sizes
  visibility REPO WHO         who sees it: public, private or default
  access REPO                 who may do what there, by grants
  grant PATTERN PRINCIPAL     grant roles on a repository, or on those of a pattern such as acme/web-*
  revoke PATTERN PRINCIPAL    take a grant back
  explain REPO ACCOUNT        what an account may do there, and why

  PRINCIPAL             user:NAME, robot:NAME, team:ORG/TEAM, org:ORG or everyone
  --role ROLE           read, write, delete, admin, AcrPull, AcrPush, …; may be repeated (read)
${commonUsage}`

/** `holdfast repo`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    ls: { names: 0, run: list },
    show: { names: 1, run: show },
    visibility: { names: 2, run: setVisibility },
    access: { names: 1, run: listAccess },
    grant: { names: 2, run: grant },
    revoke: { names: 2, run: revoke },
    explain: { names: 2, run: explain },
  }
  await runVerb({ usage, options: { role: { type: 'string', multiple: true } }, verbs }, args)
}

async function list({ registry, form }: Given): Promise<void> {
  const query = form === 'name' ? {} : { sizes: 'true' }
  printList(form, await askAll(registry(), '/repos', query), ['name', 'visibility', 'sizeStored'])
}

async function show({ registry, names, form }: Given): Promise<void> {
  const [, repository = '', image] = /^([^:@]*)(?:[:@](.*))?$/.exec(names[0]!) ?? []
  if (image !== undefined)
    return printOne(form, await ask(registry(), 'GET', `/repos/${repository}/-/images/${encodeURIComponent(image)}`))
  const shown = await ask<object>(registry(), 'GET', `/repos/${repository}`)
  printOne(form, { ...shown, ...(await ask<object>(registry(), 'GET', `/repos/${repository}/-/usage`)) })
}

async function setVisibility({ registry, names: [name, visibility], form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'PUT', `/repos/${name}`, { body: { visibility } }))
}

async function listAccess({ registry, names, form }: Given): Promise<void> {
  const { items } = await ask<{ items: Record<string, unknown>[] }>(registry(), 'GET', `/repos/${names[0]}/-/access`)
  printList(form, items, ['principal', 'roles', 'repositories'])
}

async function grant({ registry, names, texts, form }: Given): Promise<void> {
  const { path, query } = placeOf(names)
  printOne(form, await ask(registry(), 'PUT', path, { query, body: { roles: texts('role') ?? ['read'] } }), 'principal')
}

async function revoke({ registry, names }: Given): Promise<void> {
  const { path, query } = placeOf(names)
  await ask(registry(), 'DELETE', path, { query })
  tell(`Took back what ${names[1]} had on ${names[0]}`)
}

/** A pattern is the namespace's, a repository its own. */
function placeOf([pattern = '', principal = '']: string[]) {
  const who = encodeURIComponent(principal)
  if (!/[*?]/.test(pattern)) return { path: `/repos/${pattern}/-/access/${who}`, query: {} }
  const namespace = pattern.split('/', 1)[0]!
  if (/[*?]/.test(namespace)) throw failure('usage', `${pattern}: a pattern begins with a namespace, as in acme/*`)
  return { path: `/orgs/${namespace}/access/${who}`, query: { repositories: pattern } }
}

async function explain({ registry, names: [repository, account], form }: Given): Promise<void> {
  type Decisions = Record<string, { verdict: string; rule: string }>
  const path = `/repos/${repository}/-/access`
  const { decisions } = await ask<{ decisions: Decisions }>(registry(), 'GET', path, { query: { explain: account } })
  printList(
    form,
    Object.entries(decisions).map(([action, decision]) => ({ action, ...decision })),
    ['action', 'verdict', 'rule'],
  )
}
