import { printList, tell } from './client/output.ts'
import { ask, askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast member VERB

  ls ORG                list the members of an organization
  add ORG USER          add one, or change their role
  rm ORG USER           remove one

  --role owner|member   (member)
${commonUsage}`

/** `holdfast member`. */
export async function run(args: string[]): Promise<void> {
  const verbs = { ls: { names: 1, run: list }, add: { names: 2, run: add }, rm: { names: 2, run: remove } }
  await runVerb({ usage, options: { role: { type: 'string' } }, verbs }, args)
}

const pathOf = ([org, user]: string[]) =>
  `/orgs/${encodeURIComponent(org!)}/members${user === undefined ? '' : `/${encodeURIComponent(user)}`}`

async function list({ registry, names, form }: Given): Promise<void> {
  printList(form, await askAll(registry(), pathOf(names)), ['user', 'role'])
}

async function add({ registry, names, text }: Given): Promise<void> {
  const { role } = await ask<{ role: string }>(registry(), 'PUT', pathOf(names), {
    body: { role: text('role') ?? 'member' },
  })
  tell(`${names[1]} is ${role} of ${names[0]}`)
}

async function remove({ registry, names }: Given): Promise<void> {
  await ask(registry(), 'DELETE', pathOf(names))
  tell(`${names[1]} is no member of ${names[0]} any more`)
}
