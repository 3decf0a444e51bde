import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { failure } from './client/failure.ts'
import { print, printList, tell } from './client/output.ts'
import { ask, type Registry, send } from './client/registry.ts'
import { scopePath } from './client/scope.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast policy VERB

  ls                          all documents of rules
  show KIND SCOPE             the rules of a scope
  set KIND SCOPE FILE         set them, from a file or "-"; also Amazon's lifecycle policy or tag mutability as it is
  rm KIND SCOPE               delete them

  KIND                  immutability or retention (policies of access: holdfast api GET /policies)
  SCOPE                 REPO, 'ORG/*', or '*' for all repositories
${commonUsage}`

interface Rules {
  kind: string
  scope: string
  document: unknown
}

/** `holdfast policy`: rules for tags. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    ls: { names: 0, run: list },
    show: { names: 2, run: show },
    set: { names: 3, run: set },
    rm: { names: 2, run: remove },
  }
  await runVerb({ usage, verbs }, args)
}

/** @throws Error with exit code 2 */
function pathOf([kind = '', scope = '']: string[]): string {
  if (kind !== 'immutability' && kind !== 'retention')
    throw failure('usage', `${kind}: expected immutability or retention`)
  return scopePath(scope, `rules/${kind}`)
}

async function list({ registry, form }: Given): Promise<void> {
  const { items } = await ask<{ items: Record<string, unknown>[] }>(registry(), 'GET', '/rules')
  printList(form, items, ['kind', 'scope', 'changedAt', 'document'])
}

async function show({ registry, names, form }: Given): Promise<void> {
  const rules = await ask<Rules>(registry(), 'GET', pathOf(names))
  print(form === 'name' ? rules.scope : JSON.stringify(rules.document, null, 2))
}

async function set({ registry, names }: Given): Promise<void> {
  const [kind, scope, file = ''] = names
  const path = pathOf(names)
  const body = await readDocument(file)
  const match = await etagOf(registry(), path)
  await ask(registry(), 'PUT', path, {
    body,
    headers: match === undefined ? { 'If-None-Match': '*' } : { 'If-Match': match },
  })
  tell(`Set the ${kind} rules of ${scope}`)
}

async function remove({ registry, names }: Given): Promise<void> {
  await ask(registry(), 'DELETE', pathOf(names))
  tell(`Deleted the ${names[0]} rules of ${names[1]}`)
}

/** @throws Error with exit code 2 */
async function readDocument(file: string): Promise<unknown> {
  try {
    return JSON.parse(file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'))
  } catch (error) {
    throw failure('usage', `Cannot read the rules from ${file}: ${(error as Error).message}`, error)
  }
}

/** The tag of what is there; undefined where nothing is. */
async function etagOf(registry: Registry, path: string): Promise<string | undefined> {
  try {
    return (await send(registry, 'GET', path)).headers.get('etag') ?? undefined
  } catch (error) {
    if ((error as { exitCode?: number }).exitCode === 5) return undefined
    throw error
  }
}
