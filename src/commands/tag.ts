import { failure } from './client/failure.ts'
import { printList, printOne } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast tag VERB

  history REPO:TAG            every move of a tag, the newest first
  ls REPO                     tags and where they point; with --as-of where they pointed
  restore REPO:TAG DIGEST     point a tag to an image of the repository, also to one in the trash

  --as-of TIME                a moment such as 2030-01-01T00:00:00Z
${commonUsage}`

/** `holdfast tag`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    history: { names: 1, run: history },
    ls: { names: 1, run: list },
    restore: { names: 2, run: restore },
  }
  await runVerb({ usage, options: { 'as-of': { type: 'string' } }, verbs }, args)
}

/** @throws Error with exit code 2 when there is no tag in it */
function tagIn(text: string): { repository: string; tag: string } {
  const [, repository, tag] = /^([^:@]+):([^:@/]+)$/.exec(text) ?? []
  if (!repository || !tag) throw failure('usage', `${text}: expected REPO:TAG`)
  return { repository, tag }
}

async function history({ registry, names, form }: Given): Promise<void> {
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
  const tags = await askAll<Record<string, unknown>>(registry(), `/repos/${names[0]}/-/tags`, { asOf: text('as-of') })
  printList(form, tags, ['name', 'digest'])
}

async function restore({ registry, names: [name = '', digest], form }: Given): Promise<void> {
  const { repository, tag } = tagIn(name)
  printOne(form, await ask(registry(), 'PUT', `/repos/${repository}/-/tags/${tag}`, { body: { digest } }))
}
