import { failure } from './client/failure.ts'
import { printList, printOne, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { choiceOf, momentOf } from './client/values.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast tag VERB

  history REPO[:TAG]          every move of a tag, or of all, the newest first
  ls REPO                     tags and where they point; with --as-of where they pointed
  restore REPO:TAG DIGEST     point a tag to an image of the repository, also to one in the trash
  show REPO:TAG               where it points, its lock, and when it goes
  lock REPO:TAG               keep it from being moved and deleted
  unlock REPO:TAG             let that be again
  expire REPO:TAG in 14d      let it go by itself: in 90m, 36h, 14d, 3w
  expire REPO:TAG at TIME     …at a moment
  expire REPO:TAG never       …not at all, whatever a label of the image says

  --as-of TIME                a moment such as 2030-01-01T00:00:00Z
  --only overwrite|delete     against what alone it is locked
${commonUsage}`

/** `holdfast tag`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    history: { names: 1, run: history },
    ls: { names: 1, run: list },
    restore: { names: 2, run: restore },
    show: { names: 1, run: show },
    lock: { names: 1, run: lock },
    unlock: { names: 1, run: unlock },
    expire: { names: [2, 3], run: expire },
  } as const
  await runVerb({ usage, options: { 'as-of': { type: 'string' }, only: { type: 'string' } }, verbs }, args)
}

/** @throws Error with exit code 2 when there is no tag in it */
function tagIn(text: string): { repository: string; tag: string } {
  const [, repository, tag] = /^([^:@]+):([^:@/]+)$/.exec(text) ?? []
  if (!repository || !tag) throw failure('usage', `${text}: expected REPO:TAG`)
  return { repository, tag }
}

async function history({ registry, names, form }: Given): Promise<void> {
  if (!names[0]!.includes(':')) {
    const moves = await askAll<Record<string, unknown>>(registry(), `/repos/${names[0]}/-/history`)
    return printList(form, moves, ['at', 'tag', 'digest', 'why', 'by'])
  }
  const { repository, tag } = tagIn(names[0]!)
  const { items } = await ask<{ items: Record<string, unknown>[] }>(
    registry(),
    'GET',
    `/repos/${repository}/-/history`,
    {
      query: { tag, limit: '500' },
    },
  )
  printList(form, items, ['at', 'digest', 'why', 'by'])
}

async function list({ registry, names, text, form }: Given): Promise<void> {
  const given = text('as-of')
  const asOf = given === undefined ? undefined : momentOf('--as-of', given)
  const tags = await askAll<Record<string, unknown>>(registry(), `/repos/${names[0]}/-/tags`, { asOf })
  printList(form, tags, ['name', 'digest'])
}

async function restore({ registry, names: [name = '', digest], form }: Given): Promise<void> {
  const { repository, tag } = tagIn(name)
  printOne(form, await ask(registry(), 'PUT', `/repos/${repository}/-/tags/${tag}`, { body: { digest } }))
}

async function show({ registry, names, form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'GET', pathOf(names[0]!)))
}

async function lock({ registry, names, text, form }: Given): Promise<void> {
  const only = text('only')
  if (only !== undefined) choiceOf('--only', only, ['overwrite', 'delete'])
  const body = only === undefined ? {} : { overwrite: only === 'overwrite', delete: only === 'delete' }
  printOne(form, await ask(registry(), 'PUT', `${pathOf(names[0]!)}/lock`, { body }))
}

async function unlock({ registry, names }: Given): Promise<void> {
  await ask(registry(), 'DELETE', `${pathOf(names[0]!)}/lock`)
  tell(`Unlocked ${names[0]}`)
}

async function expire({ registry, names: [name = '', word, value = ''], form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'PUT', `${pathOf(name)}/expiry`, { body: expiryOf(word, value) }))
}

/** @throws Error with exit code 2 */
function expiryOf(word: string | undefined, value: string): { in?: string; at?: string } {
  if (word === 'never' && value === '') return {}
  if (word === 'in' && value !== '') return { in: value }
  if (word === 'at') return { at: momentOf('at', value) }
  throw failure('usage', 'expected "in 14d", "at 2030-01-01" or "never"')
}

function pathOf(name: string): string {
  const { repository, tag } = tagIn(name)
  return `/repos/${repository}/-/tags/${tag}`
}
