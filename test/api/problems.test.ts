import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Problem, problemReply, problems } from '../../src/api/problem.ts'
import { useApp } from '../support/app.ts'

const app = await useApp()
const url = `http://127.0.0.1:${app.port}`
const get = async (path: string, accept?: string) => {
  const reply = await fetch(url + path, accept ? { headers: { Accept: accept } } : {})
  return { status: reply.status, headers: reply.headers, body: await reply.text() }
}
const kinds = Object.keys(problems) as (keyof typeof problems)[]

describe('the pages of problems', () => {
  it('are where each problem says', async () => {
    for (const kind of kinds) {
      const { type, title, status } = JSON.parse(String(problemReply(new Problem(kind, ''), {}).body))
      const text = await get(type)
      assert.equal(text.status, 200, type)
      assert.match(String(text.headers.get('content-type')), /^text\/plain/)
      assert.ok(text.body.startsWith(`${title} (${kind}, ${status})\n`), text.body)
      assert.match(text.body, /\nWhat to do: \w/)
      const page = await get(type, 'text/html,application/xhtml+xml,*/*;q=0.8')
      assert.match(String(page.headers.get('content-type')), /^text\/html/)
      assert.match(String(page.headers.get('content-security-policy')), /default-src 'none'/)
      assert.equal(page.headers.get('vary'), 'Accept')
      assert.doesNotMatch(page.body, /<script|"holdfast/, 'what it says is escaped')
    }
  })

  it('are listed, and there are no others', async () => {
    const { body } = await get('/problems')
    assert.deepEqual(
      body
        .trim()
        .split('\n')
        .map((line) => line.split(/ +/)[1]),
      kinds.map((kind) => `/problems/${kind}`),
    )
    const page = await get('/problems', 'text/html')
    for (const kind of kinds) assert.ok(page.body.includes(`href="/problems/${kind}"`))
    for (const other of ['none', 'toString', '__proto__', '%3Cscript%3E', 'invalid/']) {
      const missing = await get(`/problems/${other}`, 'text/html')
      assert.equal(missing.status, 404, other)
      assert.doesNotMatch(missing.body, /<script/)
    }
    assert.equal((await fetch(`${url}/problems/invalid`, { method: 'POST' })).status, 405)
    assert.equal(await (await fetch(`${url}/problems/invalid`, { method: 'HEAD' })).text(), '')
  })

  it('are there for all that is thrown, and docs/api.md names them', () => {
    const root = join(import.meta.dirname, '../..')
    const sources = globSync('src/**/*.ts', { cwd: root }).map((file) => readFileSync(join(root, file), 'utf8'))
    const thrown = new Set(
      sources.flatMap((source) =>
        [...source.matchAll(/new Problem\(\s*(?:[^'),]*\? )?'([a-z-]+)'/g)].map(([, kind]) => kind!),
      ),
    )
    assert.ok(thrown.size > 8, [...thrown].join())
    for (const kind of thrown) assert.ok(Object.hasOwn(problems, kind), kind)
    const page = readFileSync(join(root, 'docs/api.md'), 'utf8')
    for (const kind of kinds) assert.ok(page.includes(`\`${kind}\``), kind)
  })
})
