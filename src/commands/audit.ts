import { failure } from './client/failure.ts'
import { print, printList } from './client/output.ts'
import { ask, send } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast audit VERB

  ls                    the newest records
  export                all records, the oldest first, a line of JSON each
  verify                whether the log is whole; exits with 7 where it is not

  --actor NAME          only what this account did
  --action ACTION       only such as user.created, sign-in.failed or access.denied
${commonUsage}`

/** `holdfast audit`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    ls: { names: 0, run: list },
    export: { names: 0, run: exportAll },
    verify: { names: 0, run: verify },
  }
  await runVerb({ usage, options: { actor: { type: 'string' }, action: { type: 'string' } }, verbs }, args)
}

const filterOf = ({ text }: Given) => ({ actor: text('actor'), action: text('action') })

async function list(given: Given): Promise<void> {
  const { items } = await ask<{ items: Record<string, unknown>[] }>(given.registry(), 'GET', '/audit', {
    query: filterOf(given),
  })
  printList(given.form, items, ['sequence', 'at', 'action', 'actor', 'address', 'target'])
}

async function exportAll(given: Given): Promise<void> {
  const headers = { Accept: 'application/x-ndjson' }
  for (let after = '0'; ;) {
    const reply = await send(given.registry(), 'GET', '/audit', { query: { ...filterOf(given), after }, headers })
    const text = (await reply.text()).trimEnd()
    if (text === '') return
    print(text)
    after = String((JSON.parse(text.slice(text.lastIndexOf('\n') + 1)) as { sequence: number }).sequence)
  }
}

async function verify({ registry, form }: Given): Promise<void> {
  const result = await ask<{ isWhole: boolean; records: number; brokenAt?: number }>(registry(), 'GET', '/audit/verify')
  if (form === 'json') print(JSON.stringify(result, null, 2))
  if (!result.isWhole)
    throw Object.assign(failure('failed', `the audit log is broken at record ${result.brokenAt}`), { exitCode: 7 })
  if (form !== 'json') print(`whole: ${result.records} records`)
}
