import { failure } from './client/failure.ts'
import { printOne } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast rm REPO:TAG | REPO@DIGEST

Moves an image to the trash and tells the tags it takes along; "holdfast restore" brings it back.
${commonUsage}`

/** `holdfast rm`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { '': { names: 1, run: remove } } }, args)
}

async function remove({ registry, names: [name = ''], form }: Given): Promise<void> {
  const [, repository, image] = /^([^:@]+)[:@](.+)$/.exec(name) ?? []
  if (!repository || !image) throw failure('usage', `${name}: expected REPO:TAG or REPO@DIGEST`)
  const path = `/repos/${repository}/-/images/${encodeURIComponent(image)}`
  printOne(form, await ask(registry(), 'DELETE', path), 'digest')
}
