import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { send, withoutCredentials } from './send.ts'

describe('a request to a server the operator named', () => {
  const seen: { method: string; url: string; authorization: string | undefined; token: unknown; body: string }[] = []
  let answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end()
  const servers = [0, 1].map(() =>
    createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      const { method = '', url = '', headers } = request
      seen.push({ method, url, authorization: headers.authorization, token: headers['x-token'], body })
      answer(request, response)
    }),
  )
  const hostOf = (index: number) => `127.0.0.1:${(servers[index]!.address() as AddressInfo).port}`
  const post = (url: string, body = 'text') =>
    send(url, { method: 'POST', headers: { 'X-Token': 'abc' }, body, signal: AbortSignal.timeout(5000) })
  before(async () => {
    for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
  })
  after(() => servers.forEach((server) => (server.close(), server.closeAllConnections())))

  it('takes the credentials of the URL along', async () => {
    assert.equal(await post(`http://us%40er:pa%3Ass@${hostOf(0)}/hook?a=b`), 200)
    const authorization = `Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`
    assert.deepEqual(seen.pop(), { method: 'POST', url: '/hook?a=b', authorization, token: 'abc', body: 'text' })
  })

  it('follows a redirect that asks for the same again, and takes nothing to a stranger', async () => {
    answer = ({ url, headers }, response) => {
      const isHome = headers.host === hostOf(0)
      const location = url === '/one' ? '/two' : `http://${hostOf(1)}/three`
      if (isHome) response.writeHead(308, { location }).end()
      else response.writeHead(202).end()
    }
    seen.length = 0
    assert.equal(await post(`http://us:pa@${hostOf(0)}/one`), 202)
    assert.deepEqual(
      seen.map(({ url, authorization, token, body }) => [url, authorization !== undefined, token, body]),
      [
        ['/one', true, 'abc', 'text'],
        ['/two', true, 'abc', 'text'],
        ['/three', false, undefined, 'text'],
      ],
    )
  })

  it('goes through the proxy of the environment, but not to this machine', async () => {
    answer = (_, response) => void response.writeHead(200).end()
    seen.length = 0
    process.env.HTTP_PROXY = process.env.HTTPS_PROXY = `http://${hostOf(1)}`
    process.env.NO_PROXY = 'direct.invalid'
    const connects: (string | undefined)[] = []
    servers[1]!.once('connect', (request, socket) => {
      connects.push(request.url)
      socket.end('HTTP/1.1 502 no\r\n\r\n')
    })
    try {
      assert.equal(await post('http://elsewhere.invalid/hook'), 200)
      assert.equal(await post(`http://${hostOf(0)}/here`), 200)
      assert.deepEqual(
        seen.map(({ url }) => url),
        ['http://elsewhere.invalid/hook', '/here'],
      )
      await assert.rejects(post('http://direct.invalid/'), /ENOTFOUND|EAI_AGAIN/)
      await assert.rejects(post('https://elsewhere.invalid/'), /502/)
      assert.deepEqual(connects, ['elsewhere.invalid:443'])
    } finally {
      for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) delete process.env[name]
    }
  })

  it('does not turn into another request, and does not go round for ever', async () => {
    answer = (_, response) => void response.writeHead(303, { location: '/elsewhere' }).end()
    assert.equal(await post(`http://${hostOf(0)}/`), 303)
    answer = (_, response) => void response.writeHead(307, { location: '/again' }).end()
    seen.length = 0
    assert.equal(await post(`http://${hostOf(0)}/`), 307)
    assert.equal(seen.length, 6)
  })

  it('does not read an answer without end', async () => {
    answer = (_, response) => {
      response.writeHead(200)
      const more = () => response.writableEnded || response.destroyed || response.write('x'.repeat(65536), more)
      more()
    }
    assert.equal(await post(`http://${hostOf(0)}/`), 200)
  })

  it('fails when nobody answers in time', async () => {
    answer = () => undefined
    const signal = AbortSignal.timeout(50)
    await assert.rejects(send(`http://${hostOf(0)}/`, { method: 'HEAD', headers: {}, signal }), {
      name: 'AbortError',
    })
  })

  it('is shown without credentials', () => {
    assert.equal(withoutCredentials('http://us:pa@host:81/path'), 'http://host:81/path')
    assert.equal(withoutCredentials('http://host:81/path'), 'http://host:81/path')
  })
})
