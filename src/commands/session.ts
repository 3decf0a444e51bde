import { failure } from './client/failure.ts'
import { printList, tell } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast session VERB

The browsers in which you are signed in, or with --user somebody else; access tokens are "holdfast token".

  ls                    list them
  end ID                sign out in that one
  end --all             sign out in all of them

  --user NAME           of this user, for administrators
${commonUsage}`

/** `holdfast session`. */
export async function run(args: string[]): Promise<void> {
  const options = { user: { type: 'string' }, all: { type: 'boolean' } } as const
  const verbs = { ls: { names: 0, run: list }, end: { names: [0, 1], run: end } } as const
  await runVerb({ usage, options, verbs }, args)
}

async function list(given: Given): Promise<void> {
  const { items } = await ask<{ items: Record<string, unknown>[] }>(given.registry(), 'GET', await base(given))
  printList(given.form, items, ['id', 'by', 'createdAt', 'endsAt', 'address', 'agent'])
}

async function end(given: Given): Promise<void> {
  const [id] = given.names
  if ((id === undefined) !== given.has('all')) throw failure('usage', `expected an ID or --all\n\n${usage}`)
  await ask(given.registry(), 'DELETE', `${await base(given)}${id === undefined ? '' : `/${encodeURIComponent(id)}`}`)
  tell(id === undefined ? 'Signed out in all browsers' : `Ended ${id}`)
}

async function base(given: Given): Promise<string> {
  const name = given.text('user') ?? (await ask<{ name: string }>(given.registry(), 'GET', '/me')).name
  return `/users/${encodeURIComponent(name)}/sessions`
}
