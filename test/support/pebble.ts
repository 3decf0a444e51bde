import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { eventually } from './app.ts'
import { createAuthority } from './certificates.ts'
import { tethered } from './programs.ts'

export interface Pebble {
  directoryUrl: string
  /** All that it wrote. */
  output(): string
}

/** Let's Encrypt's test server, which looks at challenges on these ports of this machine whatever the name. */
export async function startPebble(
  folder: string,
  { tlsPort, httpPort }: { tlsPort: number; httpPort: number },
): Promise<Pebble> {
  const authority = await createAuthority(folder, 'Pebble Directory')
  setDefaultCACertificates([...getCACertificates('default'), await readFile(authority.file, 'utf8')])
  const { certificate, key } = await authority.issue('pebble')
  const [port, management] = [await freePort(), await freePort()]
  const file = join(folder, `pebble-${port}.json`)
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate,
    privateKey: key,
    tlsPort,
    httpPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  }
  await writeFile(file, JSON.stringify({ pebble }))
  const [command, ...args] = [...tethered, 'pebble', '-config', file, '-strict', '-dnsserver', await startDns()]
  const child = spawn(command!, args, { env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '20' } })
  after(() => child.kill())
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const directoryUrl = `https://127.0.0.1:${port}/dir`
  await eventually(() => fetch(directoryUrl).catch(() => undefined)) // it says that it listens before it does
  return { directoryUrl, output: () => output }
}

/** A name server, over TCP as pebble asks, for which every name is this machine. */
async function startDns(): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (message) => {
      const query = message.subarray(2) // after its length
      const end = query.indexOf(0, 12) + 5
      const isAddress = query.readUInt16BE(end - 4) === 1
      const head = [query[0]!, query[1]!, 0x84, 0, 0, 1, 0, isAddress ? 1 : 0, 0, 0, 0, 0]
      const record = isAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1] : []
      const answer = Buffer.from([...head, ...query.subarray(12, end), ...record])
      socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
