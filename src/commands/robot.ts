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

  --description TEXT
${commonUsage}`

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
  }
  await runVerb({ usage, options: { description: { type: 'string' } }, verbs }, args)
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
