import { printList } from './client/output.ts'
import { askAll } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast trash ls REPO

Lists deleted images that can be restored, and until when. "sizeStored" is what an image takes here, "sizeExclusive" what is freed when
it leaves the trash.
${commonUsage}`

/** `holdfast trash`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { ls: { names: 1, run: list } } }, args)
}

async function list({ registry, names, form }: Given): Promise<void> {
  const items = await askAll<Record<string, unknown>>(registry(), `/repos/${names[0]}/-/trash`)
  printList(form, items, ['digest', 'tags', 'sizeStored', 'sizeExclusive', 'at', 'by', 'endsAt'])
}
