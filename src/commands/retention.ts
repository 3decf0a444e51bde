import { failure } from './client/failure.ts'
import { printList, printOne, tell } from './client/output.ts'
import { ask, askAll, type Registry } from './client/registry.ts'
import { scopePath } from './client/scope.ts'
import { choiceOf } from './client/values.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast retention VERB

  preview REPO          make a plan: every tag, whether it stays, by which rule, and the bytes its image frees
  preview --org ORG     what would go of each repository of a namespace
  apply REPO PLAN       carry out exactly that plan; ends with 6 when something has changed since
  history [REPO]        what was done, or would have been; also with --org ORG

  --only keep|expire    of a plan only those
${commonUsage}`

interface Plan {
  id: string
  repository: string
  rules: string[]
  items: (Record<string, unknown> & { verdict: string })[]
  summary: { keep: number; expire: number; images: number; frees: number }
}

/** `holdfast retention`. */
export async function run(args: string[]): Promise<void> {
  const options = { org: { type: 'string' }, only: { type: 'string' } } as const
  const verbs = {
    preview: { names: [0, 1], run: preview },
    apply: { names: 2, run: apply },
    history: { names: [0, 1], run: history },
  } as const
  await runVerb({ usage, options, verbs }, args)
}

const planOf = (registry: Registry, repository: string) =>
  ask<Plan>(registry, 'GET', `/repos/${repository}/-/retention`)

async function preview(given: Given): Promise<void> {
  const { registry, names, text, form } = given
  const only = text('only')
  if (only !== undefined) choiceOf('--only', only, ['keep', 'expire'])
  const [repository] = names
  if (repository === undefined) return previewAll(given)
  const plan = await planOf(registry(), repository)
  const { keep, expire, images, frees } = plan.summary
  if (plan.rules.length === 0) tell(`no rule is about ${repository}: nothing goes`)
  else tell(`plan ${plan.id}: keeps ${keep}, lets ${expire} go; ${images} images and ${frees} bytes with them`)
  const items = plan.items.filter(({ verdict }) => only === undefined || verdict === only)
  if (form === 'json') printOne(form, { ...plan, items })
  else printList(form, items, ['tag', 'digest', 'verdict', 'rule', 'why', 'frees'])
  if (expire > 0) tell(`apply exactly this: holdfast retention apply ${repository} ${plan.id}`)
}

async function previewAll({ registry, text, form }: Given): Promise<void> {
  const org = text('org')
  if (org === undefined) throw failure('usage', usage)
  const all = await askAll<{ name: string }>(registry(), '/repos')
  const own = all.filter((one) => one.name.startsWith(`${org}/`))
  if (own.length === 0) throw failure('notFound', `there is no repository below ${org}/ that you may pull`)
  const found: Record<string, unknown>[] = []
  for (const { name } of own) {
    const { id, repository, summary } = await planOf(registry(), name)
    found.push({ repository, ...summary, plan: id })
  }
  printList(form, found, ['repository', 'keep', 'expire', 'images', 'frees', 'plan'])
}

async function apply({ registry, names: [repository = '', plan], form }: Given): Promise<void> {
  const path = `/repos/${repository}/-/retention`
  const outcome = await ask<Record<string, unknown>>(registry(), 'POST', path, { body: { plan } })
  printOne(form, outcome, 'plan')
  if (Number(outcome.left) > 0) {
    tell(`${Number(outcome.left)} tags are still there: they changed while the plan was carried out`)
    process.exitCode = 3
  }
}

async function history({ registry, names: [repository], text, form }: Given): Promise<void> {
  const org = text('org')
  const scope = repository ?? (org === undefined ? '*' : `${org}/*`)
  const runs = await askAll<Record<string, unknown>>(registry(), scopePath(scope, 'retention/runs'))
  printList(form, runs, ['at', 'repository', 'state', 'tags', 'images', 'bytes', 'by', 'plan'])
}
