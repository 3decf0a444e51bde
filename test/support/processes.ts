import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { eventually } from './app.ts'
import { type RunningRegistry, startRegistry } from './registry.ts'

export interface Together extends RunningRegistry {
  /** The processes that serve now; the first, with SQLite, is the one that writes. */
  pids(): number[]
  /** Resolves once this many processes were started since the beginning. */
  started(count: number): Promise<unknown>
  /** A connection of its own to each process, in their order. */
  connections(): Promise<Connection[]>
}

/** Starts the real server with several processes, and waits for all of them. */
export async function startTogether(
  count: number,
  options: Parameters<typeof startRegistry>[0] = {},
): Promise<Together> {
  const env = { ...options.env, HOLDFAST_PROCESSES: String(count) }
  const registry = await startRegistry({ ...options, env })
  const starts = () =>
    [...registry.errors().matchAll(/process\.started process=(\d+) pid=(\d+)/g)].map((found) =>
      found.slice(1).map(Number),
    )
  const started = (total: number) => eventually(() => starts().length >= total)
  await started(count)
  const pids = () => [...new Map(starts() as [number, number][])].toSorted(([a], [b]) => a - b).map(([, pid]) => pid)
  return { ...registry, pids, started, connections: () => connectionsTo(registry.url, pids()) }
}

async function connectionsTo(url: string, pids: number[]): Promise<Connection[]> {
  const found = new Map<number, Connection>()
  for (let tries = 0; found.size < pids.length; tries++) {
    if (tries > 50) throw new Error(`Connections reach ${[...found.keys()].join()} only, of ${pids.join()}`)
    const connection = createConnection(url)
    await connection.call('GET', '/v2/')
    const owner = pids.find((pid) => owns(pid, connection.localPort()))
    if (owner === undefined || found.has(owner)) connection.close()
    else found.set(owner, connection)
  }
  return pids.map((pid) => found.get(pid)!)
}

/** Whether the process has the other end of the connection from this local port. */
function owns(pid: number, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const ours = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const inode = ours.find((fields) => fields[2]?.endsWith(`:${hex}`) && fields[9] !== '0')?.[9]
  return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed meanwhile
  }
}

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export type Connection = ReturnType<typeof createConnection>

/** One connection that is kept, so that the same process answers. */
export function createConnection(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let port = 0

  function call(
    method: string,
    path: string,
    { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string | Buffer } = {},
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, url), {
        method,
        agent,
        headers: { 'Content-Length': String(Buffer.byteLength(body)), ...headers },
      })
      sent.on('error', reject)
      sent.on('response', (reply) => {
        port = reply.socket.localPort ?? port
        const chunks: Buffer[] = []
        reply.on('data', (chunk: Buffer) => chunks.push(chunk))
        reply.on('error', reject)
        reply.on('end', () =>
          resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks) }),
        )
      })
      sent.end(body)
    })
  }
  return { call, localPort: () => port, close: () => agent.destroy() }
}

/** The processes that this one has started and that still run. */
export function childrenOf(pid: number): number[] {
  try {
    return execFileSync('ps', ['--ppid', String(pid), '-o', 'pid='], { encoding: 'utf8' })
      .split(/\s+/)
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}
