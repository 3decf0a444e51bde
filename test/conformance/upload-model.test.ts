import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { digestOf, pathOf, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'model/app'

/** A step of a client: a chunk at the right place or a wrong one, with its length or in pieces, or a look. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('patch' as const),
    body: fc.uint8Array({ maxLength: 300 }),
    shift: fc.constantFrom(undefined, 0, 0, 0, -1, 1),
    pieces: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('status' as const) }),
)
const ending = fc.record({
  algorithm: fc.constantFrom('sha256', 'sha512'),
  body: fc.uint8Array({ maxLength: 100 }),
  digest: fc.constantFrom('right', 'right', 'right', 'wrong', 'missing'),
})

it('any sequence of steps leaves exactly the bytes that were acknowledged', async () => {
  const sequences = fc.asyncProperty(fc.array(step, { maxLength: 8 }), ending, async (steps, end) => {
    let path = await registry.startUpload(repository)
    let content = Buffer.alloc(0)
    const range = () => `0-${Math.max(0, content.length - 1)}`
    for (const one of steps) {
      if (one.kind === 'status') {
        const status = await registry.call('GET', path)
        assert.deepEqual([status.status, status.headers.range], [204, range()])
        continue
      }
      const { body, shift } = one
      const first = content.length + (shift ?? 0)
      const isRange = shift !== undefined && body.length > 0 && first >= 0
      const headers: Record<string, string> = isRange ? { 'Content-Range': `${first}-${first + body.length - 1}` } : {}
      const reply = await registry.call('PATCH', path, { body: one.pieces ? [body] : body, headers })
      const isTaken = !isRange || shift === 0
      if (isTaken) content = Buffer.concat([content, body])
      assert.deepEqual([reply.status, reply.headers.range], [isTaken ? 202 : 416, range()])
      path = pathOf(reply)
    }
    const whole = Buffer.concat([content, end.body])
    const right = digestOf(whole, end.algorithm)
    const digest = end.digest === 'right' ? right : digestOf(`not ${right}`, end.algorithm)
    const query = end.digest === 'missing' ? '' : `&digest=${digest}`
    const reply = await registry.call('PUT', path + query, { body: end.body })
    assert.equal(reply.status, end.digest === 'right' ? 201 : 400)
    const after = await registry.call('GET', path)
    assert.equal(after.status, end.digest === 'missing' ? 204 : 404)
    if (end.digest !== 'right') return
    const blob = await registry.call('GET', pathOf(reply))
    assert.ok(blob.body.equals(whole))
    assert.equal(blob.headers['docker-content-digest'], right)
  })
  await fc.assert(sequences, { numRuns: 60 })
})
