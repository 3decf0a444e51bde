import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { codesOf, describeContent, makeImage, type TestRegistry } from '../support/client.ts'
import { type Exchange, exchange, type RawAnswer } from '../support/raw-http.ts'
import { buildRequest, type HostileRequest, type Seed } from './corpus.ts'

// What no error may show: paths of the machine, stack traces, names of the parts inside.
const internals = [
  '/var/lib',
  '/tmp/',
  '/home/',
  '/root/',
  'node_modules',
  'at Object.',
  'at async',
  '.ts:',
  '.js:',
  'goroutine ',
  'panic:',
  'Traceback',
  'SQLITE_',
  'SqliteError',
  'sqlite',
  'syntax error at or near',
  'ECONNREFUSED',
  'EACCES',
  'ENOENT',
  'DriverName',
]

/** Pushes what the requests are about. */
export async function pushSeed(registry: TestRegistry): Promise<Seed> {
  const [repo, repo2] = ['corpus/seed', 'corpus/other']
  const image = await makeImage(registry, repo)
  const manifest = JSON.stringify(image)
  await registry.putManifest(repo, 'seed', manifest, { type: image.mediaType })
  await registry.pushBlob(repo2, '{}')
  return {
    host: `127.0.0.1:${registry.port}`,
    startUpload: () => registry.startUpload(repo),
    values: {
      repo,
      repo2,
      cfg: image.config.digest,
      blob: image.layers[0]!.digest,
      blob2: await registry.pushBlob(repo2, randomBytes(32)),
      man: describeContent(manifest, image.mediaType).digest,
      host: `127.0.0.1:${registry.port}`,
      hostonly: '127.0.0.1',
      port: String(registry.port),
    },
  }
}

/** Sends the request and checks all that came back, and that the server still lives. */
export async function send(registry: TestRegistry, seed: Seed, request: HostileRequest): Promise<void> {
  const data = await buildRequest(request, seed)
  const { method, half_close: halfClose, drip, noread } = request
  const result = await exchange(registry.port, data, { method, halfClose, drip, unreadSeconds: noread })
  check(request, result)
  const alive = await registry.call('GET', '/v2/', { headers: { Connection: 'close' } })
  assert.equal(alive.status, 200, 'the server still answers')
}

function check({ expect, drip }: HostileRequest, { answers, closed, firstMs }: Exchange): void {
  const status = answers[0]?.status ?? 0
  const text = answers.map((answer) => answer.body.toString('latin1')).join('')
  if (answers.length === 0) assert.ok(closed, drip ? 'a slow client is cut' : 'the connection does not hang')
  assert.ok(status < 500 || status === 501 || status === 505, `status ${status}: ${text}`)
  assert.ok(expect.status.includes(status), `status ${status}, expected ${expect.status.join(', ')}: ${text}`)
  if (expect.code && status >= 400 && text.startsWith('{')) {
    const code = codesOf({ ...answers[0]!, headers: {} })[0]!
    assert.ok(expect.code.includes(code), `code ${code}, expected ${expect.code.join(', ')}`)
  }
  assert.ok(answers.length <= (expect.max_responses ?? Infinity), 'a request was smuggled in')
  assert.ok(firstMs <= (expect.max_seconds ?? Infinity) * 1000, `took ${firstMs} ms`)
  checkNothingLeaks(expect, answers)
}

function checkNothingLeaks({ no_header = [], not_body = [] }: HostileRequest['expect'], answers: RawAnswer[]): void {
  const text = answers.map((answer) => answer.body.toString('latin1')).join('')
  const names = answers.flatMap((answer) => answer.headers.map(([name]) => name))
  for (const name of no_header) assert.ok(!names.includes(name.toLowerCase()), `has the header ${name}`)
  const isHtml = answers[0]?.headers.some(([name, value]) => name === 'content-type' && value.includes('html'))
  const forbidden = not_body.filter((part) => isHtml || !part.includes('<script'))
  if ((answers[0]?.status ?? 0) >= 400) forbidden.push(...internals)
  const shown = forbidden.filter((part) => text.includes(part))
  assert.deepEqual(shown, [], text)
}
