import { failure } from './client/failure.ts'
import { printOne } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast restore REPO@DIGEST

Takes an image out of the trash, with those of its tags that stand nowhere else now. A whole server: holdfast backup restore
${commonUsage}`

/** `holdfast restore`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { '': { names: 1, run: restore } } }, args)
}

async function restore({ registry, names: [name = ''], form }: Given): Promise<void> {
  const [, repository, digest] = /^([^:@]+)@(.+)$/.exec(name) ?? []
  if (!repository || !digest)
    throw failure('usage', `${name}: expected REPO@DIGEST; "holdfast trash ls REPO" lists them`)
  const path = `/repos/${repository}/-/images/${encodeURIComponent(`${digest}:restore`)}`
  printOne(form, await ask(registry(), 'POST', path), 'digest')
}
