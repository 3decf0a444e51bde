import { failure } from './client/failure.ts'
import { printList, printOne, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast robot VERB

  ls ORG                list the robots of an organization
  show ORG ROBOT        show one
  create ORG ROBOT      make one; "holdfast token create --robot ORG/ROBOT NAME" gives it a secret
  disable ORG ROBOT     let it sign in no more
  enable ORG ROBOT      let it sign in again
  rm ORG ROBOT          delete it with its tokens and grants
  trust ls ORG ROBOT    list whose tokens stand for it, so that jobs need no secret of ours
  trust add ORG ROBOT   trust tokens of an --issuer with this --subject
  trust rm ORG ROBOT ID trust them no more

  --description TEXT
  --issuer URL          who issues the tokens, such as https://token.actions.githubusercontent.com
  --subject PATTERN     their subject, such as repo:acme/app:*
  --claim NAME=PATTERN  another claim they must have; repeat it for more
  --audience TEXT       for whom they are issued; by default the URL of the registry
${commonUsage}`

const options = {
  description: { type: 'string' },
  issuer: { type: 'string' },
  subject: { type: 'string' },
  claim: { type: 'string', multiple: true },
  audience: { type: 'string', multiple: true },
} as const

/** `holdfast robot`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    ls: { names: 1, run: list },
    show: { names: 2, run: show },
    create: {
      names: 2,
      run: (given: Given) => put(given, { description: given.text('description') }, { 'If-None-Match': '*' }),
    },
    disable: { names: 2, run: (given: Given) => put(given, { isDisabled: true }, { 'If-Match': '*' }) },
    enable: { names: 2, run: (given: Given) => put(given, { isDisabled: false }, { 'If-Match': '*' }) },
    rm: { names: 2, run: remove },
    trust: { names: [3, 4] as const, run: trust },
  }
  await runVerb({ usage, options, verbs }, args)
}

const pathOf = ([org, robot]: string[]) =>
  `/orgs/${encodeURIComponent(org!)}/robots${robot === undefined ? '' : `/${encodeURIComponent(robot)}`}`

async function list({ registry, names, form }: Given): Promise<void> {
  printList(form, await askAll(registry(), pathOf(names)), ['login', 'description', 'isDisabled', 'createdAt'])
}

async function show({ registry, names, form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'GET', pathOf(names)), 'login')
}

async function put({ registry, names, form }: Given, body: object, headers: Record<string, string>): Promise<void> {
  printOne(form, await ask(registry(), 'PUT', pathOf(names), { body, headers }), 'login')
}

async function remove({ registry, names }: Given): Promise<void> {
  await ask(registry(), 'DELETE', pathOf(names))
  tell(`Deleted ${names.join('/')}`)
}

async function trust(given: Given): Promise<void> {
  const { registry, names, form } = given
  const [verb, org, robot, id] = names
  const path = `${pathOf([org!, robot!])}/trust`
  if (verb === 'ls' && id === undefined)
    return printList(form, await askAll(registry(), path), ['id', 'issuer', 'claims', 'audiences', 'createdAt'])
  if (verb === 'add' && id === undefined)
    return printOne(form, await ask(registry(), 'POST', path, { body: trustOf(given) }), 'id')
  if (verb !== 'rm' || id === undefined) throw failure('usage', usage)
  await ask(registry(), 'DELETE', `${path}/${encodeURIComponent(id)}`)
  tell(`Removed ${id}`)
}

/** @throws Error with exit code 2 for a claim that is none */
function trustOf({ text, texts }: Given): object {
  const claims: Record<string, string[]> = {}
  for (const claim of texts('claim') ?? []) {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(claim) ?? []
    if (name === undefined) throw failure('usage', `--claim ${claim}: expected NAME=PATTERN`)
    claims[name] = [...(claims[name] ?? []), value!]
  }
  const subject = text('subject')
  if (subject !== undefined) claims.sub = [subject]
  const audiences = texts('audience')
  return { issuer: text('issuer') ?? '', claims, ...(audiences && { audiences }) }
}
