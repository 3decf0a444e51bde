import { printList, printOne, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast org VERB

  ls                    list your organizations
  show ORG              show one
  create ORG            make one (administrators)
  set ORG               change one
  rm ORG                delete one that holds no images

  --description TEXT
  --create-on-push yes|no   whether who may write there makes repositories by pushing
${commonUsage}`

/** `holdfast org`. */
export async function run(args: string[]): Promise<void> {
  const options = { description: { type: 'string' }, 'create-on-push': { type: 'string' } } as const
  const verbs = {
    ls: { names: 0, run: list },
    show: { names: 1, run: show },
    create: { names: 1, run: (given: Given) => put(given, { 'If-None-Match': '*' }) },
    set: { names: 1, run: (given: Given) => put(given, { 'If-Match': '*' }) },
    rm: { names: 1, run: remove },
  }
  await runVerb({ usage, options, verbs }, args)
}

const pathOf = ({ names }: Given) => `/orgs/${encodeURIComponent(names[0]!)}`

async function list({ registry, form }: Given): Promise<void> {
  printList(form, await askAll(registry(), '/orgs'), ['name', 'description', 'createsOnPush', 'createdAt'])
}

async function show(given: Given): Promise<void> {
  printOne(given.form, await ask(given.registry(), 'GET', pathOf(given)))
}

async function put(given: Given, headers: Record<string, string>): Promise<void> {
  const creates = given.text('create-on-push')
  const body = { description: given.text('description'), createsOnPush: creates && /^(yes|true)$/.test(creates) }
  printOne(given.form, await ask(given.registry(), 'PUT', pathOf(given), { body, headers }))
}

async function remove(given: Given): Promise<void> {
  await ask(given.registry(), 'DELETE', pathOf(given))
  tell(`Deleted ${given.names[0]}`)
}
