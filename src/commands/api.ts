import { failure } from './client/failure.ts'
import { print } from './client/output.ts'
import { send } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast api METHOD PATH [--data JSON] [--header 'NAME: VALUE']

Sends a request to the management API and prints the answer; PATH stands below /api/v1. All there is: holdfast api GET /openapi.json
${commonUsage}`

/** `holdfast api`. */
export async function run(args: string[]): Promise<void> {
  const options = {
    data: { type: 'string', short: 'd' },
    header: { type: 'string', short: 'H', multiple: true },
  } as const
  await runVerb({ usage, options, verbs: { '': { names: 2, run: request } } }, args)
}

async function request({ registry, names: [method, path], text, texts }: Given): Promise<void> {
  const headers = (texts('header') ?? []).map((header) => {
    const [, name, value] = /^([\w-]+):\s*(.*)$/.exec(header) ?? []
    if (!name) throw failure('usage', `--header ${header}: expected NAME: VALUE`)
    return [name, value ?? '']
  })
  const data = text('data')
  const reply = await send(registry(), method!.toUpperCase(), path!.startsWith('/') ? path! : `/${path}`, {
    headers: Object.fromEntries(headers),
    ...(data !== undefined && { body: parse(data) }),
  })
  print((await reply.text()).trimEnd())
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    throw failure('usage', '--data is no JSON')
  }
}
