import { sizeKind } from '../config/kinds.ts'
import { failure } from './client/failure.ts'
import { printList, printOne } from './client/output.ts'
import { ask } from './client/registry.ts'
import { percentOf } from './client/values.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast quota VERB

Limits what an organization or a repository stores; each blob counts once there.

  ls                          list the limits and what is used
  show ORG|REPO               show one
  set ORG|REPO SIZE           limit it, to 10GiB or 500MB; also counts anew what is used
  rm ORG|REPO                 take the limit away

  --soft PERCENT        from where on it is warned (80)
${commonUsage}`

/** `holdfast quota`. */
export async function run(args: string[]): Promise<void> {
  const verbs = {
    ls: { names: 0, run: list },
    show: { names: 1, run: show },
    set: { names: 2, run: set },
    rm: { names: 1, run: remove },
  }
  await runVerb({ usage, options: { soft: { type: 'string' } }, verbs }, args)
}

async function list({ registry, form }: Given): Promise<void> {
  const { items } = await ask<{ items: Record<string, unknown>[] }>(registry(), 'GET', '/quotas')
  printList(form, items, ['scope', 'used', 'limit', 'soft', 'isConfigured'])
}

async function show({ registry, names, form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'GET', `/quotas/${names[0]}`), 'scope')
}

async function set({ registry, names: [scope, size], text, form }: Given): Promise<void> {
  const limit = sizeKind.parse(size!)
  if (limit === undefined) throw failure('usage', `${size}: expected ${sizeKind.form}`)
  const soft = text('soft')
  const body = { limit, ...(soft !== undefined && { soft: percentOf('--soft', soft) }) }
  printOne(form, await ask(registry(), 'PUT', `/quotas/${scope}`, { body }), 'scope')
}

async function remove({ registry, names }: Given): Promise<void> {
  await ask(registry(), 'DELETE', `/quotas/${names[0]}`)
}
