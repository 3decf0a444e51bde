import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Answer, type CallOptions, codesOf, digestOf, pathOf, useRegistry } from '../support/client.ts'
import { exchange } from '../support/raw-http.ts'

const registry = await useRegistry()
const repository = 'uploads/app'
const uploads = `/v2/${repository}/blobs/uploads/`
const start = () => registry.startUpload(repository)

/** Checks that the answer says where the session stands: `range` and a place to go on. */
function assertStands(reply: Answer, range: string): void {
  assert.equal(reply.headers.range, range)
  assert.match(pathOf(reply), /^\/v2\/uploads\/app\/blobs\/uploads\/[a-zA-Z0-9\-_.=]+/)
  assert.ok(reply.headers['docker-upload-uuid'])
}

function patch(path: string, body: CallOptions['body'], range?: string): Promise<Answer> {
  const headers = { 'Content-Type': 'application/octet-stream', ...(range && { 'Content-Range': range }) }
  return registry.call('PATCH', path, { body: body ?? '', headers })
}

async function assertStored(content: Uint8Array | string): Promise<void> {
  const reply = await registry.call('GET', `/v2/${repository}/blobs/${digestOf(content)}`)
  assert.equal(reply.status, 200)
  assert.deepEqual(reply.body, Buffer.from(content))
}

describe('POST of an upload (end-4a)', () => {
  for (const path of [uploads, uploads.slice(0, -1)]) {
    it(`opens a session at ${path} whatever the Content-Type`, async () => {
      const reply = await registry.call('POST', path, { headers: { 'Content-Type': 'application/json' } })
      assert.equal(reply.status, 202)
      assert.equal(reply.headers['content-length'], '0')
      assertStands(reply, '0-0')
      assert.ok(reply.headers.location?.startsWith('/'), 'relative, so that it survives a proxy')
      assert.ok(reply.headers.location?.includes(reply.headers['docker-upload-uuid']!))
    })
  }

  it('gives every session an id of its own', async () => {
    assert.notEqual(await start(), await start())
  })
})

describe('an upload in a single request (end-4b)', () => {
  it('makes the blob', async () => {
    const reply = await registry.call('POST', `${uploads}?digest=${digestOf('single')}`, { body: 'single' })
    assert.equal(reply.status, 201)
    assert.equal(pathOf(reply), `/v2/${repository}/blobs/${digestOf('single')}`)
    assert.equal(reply.headers['docker-content-digest'], digestOf('single'))
    assert.equal(reply.headers['content-length'], '0')
    await assertStored('single')
  })

  it('is streamed without a length', async () => {
    const body = [Buffer.from('in '), Buffer.from('pieces')]
    const reply = await registry.call('POST', `${uploads}?digest=${digestOf('in pieces')}`, { body })
    assert.equal(reply.status, 201)
    await assertStored('in pieces')
  })

  for (const digest of ['sha256:bad', 'sha256', `md5:${'a'.repeat(32)}`, digestOf('other')]) {
    it(`is refused with the digest ${digest.slice(0, 14)}`, async () => {
      const reply = await registry.call('POST', `${uploads}?digest=${digest}`, { body: 'single' })
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['DIGEST_INVALID'])
    })
  }

  it('without a body opens a session', async () => {
    const reply = await registry.call('POST', `${uploads}?digest=${digestOf('later')}`)
    assert.equal(reply.status, 202)
    assertStands(reply, '0-0')
  })
})

describe('PATCH of an upload (end-5)', () => {
  it('appends chunks in order and says where the session stands', async () => {
    const first = await patch(await start(), 'hello', '0-4')
    assert.equal(first.status, 202)
    assert.equal(first.headers['content-length'], '0')
    assertStands(first, '0-4')
    const second = await patch(pathOf(first), ' world', '5-10')
    assert.equal(second.status, 202)
    assertStands(second, '0-10')
    const end = await registry.call('PUT', `${pathOf(second)}&digest=${digestOf('hello world')}`)
    assert.equal(end.status, 201)
    assert.equal(pathOf(end), `/v2/${repository}/blobs/${digestOf('hello world')}`)
    await assertStored('hello world')
  })

  it('streams without length and range, and goes on from where it was', async () => {
    const content = randomBytes(3 << 20)
    const pieces = [content.subarray(0, 1 << 20), content.subarray(1 << 20, 2 << 20)]
    const path = await start()
    const first = await patch(path, pieces)
    assertStands(first, `0-${(2 << 20) - 1}`)
    const second = await patch(pathOf(first), content.subarray(2 << 20))
    assertStands(second, `0-${(3 << 20) - 1}`)
    assert.equal((await registry.call('PUT', `${pathOf(second)}&digest=${digestOf(content)}`)).status, 201)
    await assertStored(content)
  })

  it('of no bytes changes nothing', async () => {
    const path = await start()
    assertStands(await patch(path, ''), '0-0')
    await patch(path, 'abc')
    const reply = await patch(path, '')
    assert.equal(reply.status, 202)
    assertStands(reply, '0-2')
  })

  for (const range of ['4-8', '0-4', '6-10']) {
    it(`at the wrong place (${range} after 5 bytes) is refused and told the right one`, async () => {
      const { headers } = await patch(await start(), 'hello', '0-4')
      const reply = await patch(headers.location!, 'world', range)
      assert.equal(reply.status, 416)
      assert.deepEqual(codesOf(reply), ['RANGE_INVALID'])
      assertStands(reply, '0-4')
      const again = await patch(pathOf(reply), 'world', '5-9')
      assert.equal(again.status, 202)
      assertStands(again, '0-9')
    })
  }

  for (const range of ['bytes 0-4', '0-4/5', '0-', '-4', '4-0', 'x-y', '', '0-99999999999999999999', '00-4-5']) {
    it(`with the unreadable Content-Range "${range}" is refused`, async () => {
      const path = await start()
      const reply = await registry.call('PATCH', path, { body: 'hello', headers: { 'Content-Range': range } })
      assert.equal(reply.status, 400)
      assertStands(await registry.call('GET', path), '0-0')
    })
  }

  for (const [range, body] of [
    ['0-9', 'hello'],
    ['0-3', 'hello'],
    ['0-0', ''],
  ] as const) {
    it(`with the range ${range} for ${body.length} bytes is refused`, async () => {
      const reply = await patch(await start(), body, range)
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['SIZE_INVALID'])
    })
  }

  it('with another repository in its path knows no such session', async () => {
    const path = (await start()).replace(repository, 'uploads/other')
    const reply = await patch(path, 'x')
    assert.equal(reply.status, 404)
    assert.deepEqual(codesOf(reply), ['BLOB_UPLOAD_UNKNOWN'])
  })
})

describe('PUT of an upload (end-6)', () => {
  it('takes the whole blob, with its length or in pieces', async () => {
    for (const [text, body] of [
      ['whole', 'whole'],
      ['piecewise', [Buffer.from('piece'), Buffer.from('wise')]],
    ] as const) {
      const headers = { 'Content-Type': 'application/octet-stream' }
      const reply = await registry.call('PUT', `${await start()}&digest=${digestOf(text)}`, { body, headers })
      assert.equal(reply.status, 201)
      assert.equal(reply.headers['docker-content-digest'], digestOf(text))
      assert.equal(reply.headers['content-length'], '0')
      await assertStored(text)
    }
  })

  for (const [what, headers] of [
    ['with', { 'Content-Range': '5-9' }],
    ['without', {}],
  ] as const) {
    it(`takes the last chunk ${what} its range`, async () => {
      const text = `hello${what === 'with' ? 'there' : 'again'}`
      const first = await patch(await start(), text.slice(0, 5))
      const path = `${pathOf(first)}&digest=${digestOf(text)}`
      assert.equal((await registry.call('PUT', path, { body: text.slice(5), headers })).status, 201)
      await assertStored(text)
    })
  }

  it('with the last chunk at the wrong place is refused, and the session goes on', async () => {
    const first = await patch(await start(), 'hello')
    const path = `${pathOf(first)}&digest=${digestOf('hello world')}`
    const refused = await registry.call('PUT', path, { body: ' world', headers: { 'Content-Range': '6-11' } })
    assert.equal(refused.status, 416)
    assertStands(refused, '0-4')
    assert.equal((await registry.call('GET', pathOf(first))).status, 204)
    const closed = await registry.call('PUT', path, { body: ' world', headers: { 'Content-Range': '5-10' } })
    assert.equal(closed.status, 201)
  })

  it('without a digest is refused, and the session survives', async () => {
    const path = await start()
    await patch(path, 'hello')
    const reply = await registry.call('PUT', path)
    assert.equal(reply.status, 400)
    assert.deepEqual(codesOf(reply), ['DIGEST_INVALID'])
    assertStands(await registry.call('GET', path), '0-4')
  })

  it('with a malformed digest is refused, and the session survives', async () => {
    const path = await start()
    await patch(path, 'hello')
    for (const digest of ['sha256:bad', `sha384:${'a'.repeat(96)}`, 'x']) {
      const reply = await registry.call('PUT', `${path}&digest=${digest}`)
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['DIGEST_INVALID'])
    }
    assertStands(await registry.call('GET', path), '0-4')
  })

  it('with the digest of something else stores nothing and ends the session', async () => {
    const path = await start()
    const reply = await registry.call('PUT', `${path}&digest=${digestOf('expected')}`, { body: 'received' })
    assert.equal(reply.status, 400)
    assert.deepEqual(codesOf(reply), ['DIGEST_INVALID'])
    for (const text of ['expected', 'received'])
      assert.equal((await registry.call('HEAD', `/v2/${repository}/blobs/${digestOf(text)}`)).status, 404)
    assert.equal((await registry.call('GET', path)).status, 404)
  })

  it('takes sha512, announced (end-4c) or not, also after chunks', async () => {
    for (const query of ['', '?digest-algorithm=sha512', '?digest-algorithm=sha256']) {
      const content = randomBytes(100)
      const opened = await registry.call('POST', uploads + query)
      assert.equal(opened.status, 202)
      const first = await patch(pathOf(opened), content.subarray(0, 50))
      const digest = digestOf(content, 'sha512')
      const reply = await registry.call('PUT', `${pathOf(first)}&digest=${digest}`, { body: content.subarray(50) })
      assert.equal(reply.status, 201)
      assert.equal(reply.headers['docker-content-digest'], digest)
    }
    assert.equal((await registry.call('POST', `${uploads}?digest-algorithm=md5`)).status, 400)
  })
})

describe('the status of an upload (end-13)', () => {
  for (const method of ['GET', 'HEAD']) {
    it(`is told to ${method}, also at an old location`, async () => {
      const old = await start()
      await patch(old, 'abc')
      for (const path of [old, old.split('?')[0]!]) {
        const reply = await registry.call(method, path)
        assert.equal(reply.status, 204)
        assert.equal(reply.headers['content-length'], undefined)
        assertStands(reply, '0-2')
      }
    })
  }

  it('of an empty session and of one byte is 0-0', async () => {
    const path = await start()
    assertStands(await registry.call('GET', path), '0-0')
    assertStands(await patch(path, 'a'), '0-0')
  })
})

describe('DELETE of an upload (end-14)', () => {
  it('ends the session', async () => {
    const path = await start()
    await patch(path, 'abc')
    const reply = await registry.call('DELETE', path)
    assert.equal(reply.status, 204)
    assert.ok(reply.headers['docker-upload-uuid'])
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const after = await registry.call(method, `${path}&digest=${digestOf('abc')}`)
      assert.equal(after.status, 404)
      if (method !== 'HEAD') assert.deepEqual(codesOf(after), ['BLOB_UPLOAD_UNKNOWN'])
    }
  })
})

it('takes a request that has no body and does not say so for an empty one', async () => {
  const { port } = new URL(registry.url)
  const digest = digestOf('')
  const status = async (method: string, path: string) => {
    const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
    return (await exchange(Number(port), Buffer.from(head), { method })).answers.map((answer) => answer.status)
  }
  assert.deepEqual(await status('POST', `${uploads}?digest=${digest}`), [201])
  const place = await start()
  assert.deepEqual(await status('PATCH', place), [202])
  const more = place.includes('?') ? '&' : '?'
  assert.deepEqual(await status('PUT', `${place}${more}digest=${digest}`), [201])
  assert.deepEqual(await status('PUT', `${await start()}${more}digest=${digest}`), [201])
  assert.deepEqual(await status('PUT', `/v2/${repository}/manifests/empty`), [400])
})
