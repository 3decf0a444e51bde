import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { imageType, pushBlob, pushImage, type RunningRegistry, sha256, startRegistry } from '../support/registry.ts'

const megabytes = (pid: number) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

describe('a server that has to bear a lot', () => {
  let registry: RunningRegistry
  before(async () => {
    registry = await startRegistry()
  })
  after(() => registry.dispose())

  const putManifest = (body: string) =>
    fetch(`${registry.url}/v2/x/manifests/a`, { method: 'PUT', headers: { 'Content-Type': imageType }, body })

  it('refuses an unclosed string of quotes at once', async () => {
    const begun = performance.now()
    assert.equal((await putManifest(`"${'\\"'.repeat(1_900_000)}`)).status, 400)
    assert.ok(performance.now() - begun < 2000)
  })

  it('bears bodies that come in a million chunks of one byte', async () => {
    for (const [method, path] of [
      ['PUT', '/v2/x/manifests/a'],
      ['PATCH', new URL(await startUpload(), registry.url).pathname],
    ] as const) {
      const socket = connect(registry.port, '127.0.0.1')
      socket.write(
        `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${imageType}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      for (let i = 0; i < 20; i++) if (!socket.write('1\r\nx\r\n'.repeat(50_000))) await once(socket, 'drain')
      socket.end('0\r\n\r\n')
      await once(socket.resume(), 'close')
    }
    assert.ok(megabytes(registry.pid) < 500, `${megabytes(registry.pid)} MB`)
  })

  async function startUpload(): Promise<string> {
    const reply = await fetch(`${registry.url}/v2/x/blobs/uploads/`, { method: 'POST' })
    return reply.headers.get('location')!
  }

  it('opens one file for a connection that pipelines hundreds of downloads', async () => {
    const digest = await pushBlob(registry.url, 'many', Buffer.alloc(8 << 20, 'x'))
    const socket = connect(registry.port, '127.0.0.1').pause()
    socket.write(`GET /v2/many/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(600))
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.ok(readdirSync(`/proc/${registry.pid}/fd`).length < 100)
    socket.destroy()
  })

  it('answers pipelined requests in the order of their effects', async () => {
    const digest = sha256('in order')
    const socket = connect(registry.port, '127.0.0.1')
    const post = `POST /v2/order/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nin order`
    socket.write(`${post}HEAD /v2/order/blobs/${digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    let answers = ''
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString()))
    await once(socket, 'close')
    assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 201', 'HTTP/1.1 200'])
  })

  it('shows the media type of the last push under every tag', async () => {
    const { digest, manifest } = await pushImage(registry.url, 'types', 'v1', [Buffer.from('layer')])
    const bare = Buffer.from(manifest.toString().replace(/"mediaType":"[^"]*manifest[^"]*",/, ''))
    const docker = 'application/vnd.docker.distribution.manifest.v2+json'
    const url = `${registry.url}/v2/types/manifests`
    await fetch(`${url}/a`, { method: 'PUT', headers: { 'Content-Type': imageType }, body: bare })
    assert.equal((await fetch(`${url}/a`)).headers.get('content-type'), imageType)
    await fetch(`${url}/${sha256(bare)}`, { method: 'PUT', headers: { 'Content-Type': docker }, body: bare })
    assert.equal((await fetch(`${url}/a`)).headers.get('content-type'), docker)
    assert.notEqual(digest, sha256(bare))
  })
})
