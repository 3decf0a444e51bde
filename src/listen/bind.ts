import { once } from 'node:events'
import type { ListenOptions, Server } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { freeUnixSocket } from './unix-socket.ts'

export type Address = { host: string; port: number } | { path: string }

/** Gives the address with the port that was bound. @throws Error that says what to do */
export async function bind(server: Server, address: Address): Promise<Address> {
  if ('path' in address) await freeUnixSocket(address.path)
  const options: ListenOptions = { ...address, backlog: 4096 }
  server.listen(options)
  try {
    await once(server, 'listening')
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const reason = code === 'EADDRINUSE' ? 'another program listens there' : message
    throw new Error(`Cannot listen on ${nameOf(address)}: ${reason}; choose another address`, { cause })
  }
  const bound = server.address()
  return typeof bound === 'object' && bound && 'host' in address ? { host: address.host, port: bound.port } : address
}

/** Who connects all the time may hold up a stop so long. */
const acceptMs = 1000

/** Accepts who has connected already: to close now would reset those connections, and requests with them. */
export async function acceptWaiting(server: Server): Promise<void> {
  let isMore = true
  const note = () => (isMore = true)
  server.on('connection', note)
  for (const end = performance.now() + acceptMs; isMore && performance.now() < end;) {
    isMore = false
    // The rest of this turn of the event loop, and a whole one: each accepts one connection.
    for (let turn = 0; turn < 2; turn++) await setImmediate()
  }
  server.off('connection', note)
}

/** `127.0.0.1:5000`, `[::1]:5000` or the path of a socket. */
export function nameOf(address: Address): string {
  if ('path' in address) return address.path
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}
