import { parseArgs } from 'node:util'
import type { HttpConfiguration } from '../config/configuration.ts'
import { loadConfiguration } from '../config/load.ts'
import { failure } from './client/failure.ts'
import { http } from '../platform/http.ts'

const usage = `Usage: holdfast healthcheck [CONFIG]

  Asks the registry that runs on this machine with this configuration whether it is ready; exits with 1 when it is not.
`

const timeoutMs = 4000

/** `holdfast healthcheck`. */
export async function run(args: string[]): Promise<void> {
  const options = { help: { type: 'boolean', short: 'h' } } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  if (values.help) return void process.stdout.write(usage)
  const [file, ...rest] = positionals
  if (rest.length > 0) throw failure('usage', `too many arguments: "${rest.join(' ')}"\n\n${usage}`)
  const { configuration } = await loadConfiguration({ file, env: process.env })
  await checkHealth(configuration.http)
}

/**
 * Asks a registry on this machine whether it is ready, as a container's health check does.
 * @throws Error with the reason when it is not
 */
async function checkHealth({ address, tls }: Pick<HttpConfiguration, 'address' | 'tls'>): Promise<void> {
  const request = tls ? (await import('node:https')).request : http.request
  const where =
    'path' in address
      ? { socketPath: address.path }
      : { host: isAny(address.host) ? '127.0.0.1' : address.host, port: address.port }
  const status = await new Promise<number>((resolve, reject) => {
    // Whether the certificate is right is not asked here: its name is not this machine's.
    const sent = request({ ...where, path: '/readyz', timeout: timeoutMs, rejectUnauthorized: false }, (reply) => {
      reply.resume()
      resolve(reply.statusCode ?? 0)
    })
    sent.once('timeout', () => sent.destroy(new Error(`no answer in ${timeoutMs / 1000} seconds`)))
    sent.once('error', reject)
    sent.end()
  })
  if (status !== 200) throw new Error(`not ready: /readyz answers ${status}`)
}

const isAny = (host: string) => host === '::' || host === '0.0.0.0' || host === ''
