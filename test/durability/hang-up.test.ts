import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pushBlob, type RunningRegistry, sha256, startRegistry } from '../support/registry.ts'

async function openFiles({ pid }: RunningRegistry): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}

/** Waits until the server has no more files open than `wanted`; gives how many it has in the end. */
async function settled(server: RunningRegistry, wanted: number): Promise<number> {
  for (let wait = 0; wait < 50 && (await openFiles(server)) > wanted; wait++) await sleep(100)
  return openFiles(server)
}

it('closes the file of a download whose client hangs up', async () => {
  const server = await startRegistry()
  try {
    const digest = await pushBlob(server.url, 'app', randomBytes(16 << 20))
    const before = await openFiles(server)
    const hangUp = (after: number) =>
      new Promise<void>((resolve) => {
        const sent = httpRequest(`${server.url}/v2/app/blobs/${digest}`, { agent: false }, (reply) => {
          let received = 0
          reply.on('data', (chunk: Buffer) => {
            received += chunk.length
            if (received > after) reply.destroy()
          })
          reply.on('error', () => {}) // we cut it ourselves
          reply.on('close', resolve)
        })
        sent.end()
      })
    await Promise.all(Array.from({ length: 40 }, (_, index) => hangUp(index * 200_000)))
    assert.ok((await settled(server, before)) <= before)
  } finally {
    await server.dispose()
  }
})

it('keeps what arrived of an upload whose client hangs up, and lets another go on at once', async () => {
  const server = await startRegistry()
  try {
    const begun = await fetch(`${server.url}/v2/app/blobs/uploads/`, { method: 'POST' })
    const location = begun.headers.get('location')!
    const before = await openFiles(server)
    for (const abort of ['destroy', 'resetAndDestroy'] as const) {
      const socket = connect(server.port, '127.0.0.1')
      socket.on('error', () => {}) // we cut it ourselves
      socket.write(`PATCH ${location} HTTP/1.1\r\nHost: ${server.host}\r\nContent-Length: 9000000\r\n\r\n`)
      socket.write(randomBytes(500_000))
      await sleep(200)
      socket[abort]()
    }
    assert.ok((await settled(server, before)) <= before)
    const status = await fetch(new URL(location, server.url))
    assert.equal(status.status, 204)
    assert.match(status.headers.get('range')!, /^0-[1-9]\d{4,5}$/)
    const next = await fetch(new URL(location, server.url), { method: 'PATCH', body: Buffer.from('more') })
    assert.equal(next.status, 202)
  } finally {
    await server.dispose()
  }
})

it('does not take an upload from under a request that is writing to it', async () => {
  const server = await startRegistry()
  try {
    const begun = await fetch(`${server.url}/v2/app/blobs/uploads/`, { method: 'POST' })
    const location = new URL(begun.headers.get('location')!, server.url)
    const content = randomBytes(2000)
    const put = new Promise<number | undefined>((resolve, reject) => {
      const url = `${location}&digest=${sha256(content)}`
      const sent = httpRequest(url, { method: 'PUT', headers: { 'content-length': content.length } }, (reply) =>
        resolve(reply.resume().statusCode),
      )
      sent.on('error', reject)
      sent.write(content.subarray(0, 1000))
      setTimeout(() => sent.end(content.subarray(1000)), 600)
    })
    await sleep(300)
    assert.equal((await fetch(location, { method: 'DELETE' })).status, 416)
    assert.equal(await put, 201)
  } finally {
    await server.dispose()
  }
})
