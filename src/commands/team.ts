import { printList, printOne, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast team VERB

  ls ORG                list the teams of an organization
  show ORG TEAM         show one with its members
  create ORG TEAM       make one, or change its description
  rm ORG TEAM           delete one
  add ORG TEAM USER     add a member of the organization
  remove ORG TEAM USER  remove one

  --description TEXT
${commonUsage}`

/** `holdfast team`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    ls: { names: 1, run: list },
    show: { names: 2, run: show },
    create: { names: 2, run: create },
    rm: { names: 2, run: (given: Given) => change(given, 'DELETE', 'Deleted') },
    add: { names: 3, run: (given: Given) => change(given, 'PUT', 'Added') },
    remove: { names: 3, run: (given: Given) => change(given, 'DELETE', 'Removed') },
  }
  await runVerb({ usage, options: { description: { type: 'string' } }, verbs }, args)
}

function pathOf([org, team, user]: string[]): string {
  const parts = ['/orgs', org, 'teams', team, ...(user === undefined ? [] : ['members', user])]
  return parts
    .filter((part) => part !== undefined)
    .map((part, index) => (index === 0 ? part : encodeURIComponent(part)))
    .join('/')
}

async function list({ registry, names, form }: Given): Promise<void> {
  printList(form, await askAll(registry(), pathOf(names)), ['name', 'description'])
}

async function show({ registry, names, form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'GET', pathOf(names)))
}

async function create({ registry, names, form, text }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'PUT', pathOf(names), { body: { description: text('description') } }))
}

async function change({ registry, names }: Given, method: string, done: string): Promise<void> {
  await ask(registry(), method, pathOf(names))
  tell(`${done} ${names.slice(1).join('/')}`)
}
