import type { Socket } from 'node:net'
import { deserialize, serialize } from 'node:v8'
import { type Calls, createCalls, type Handlers, type Message } from './calls.ts'

const headBytes = 4

/**
 * Calls over a socket between processes of ours: what is said in one turn of the event loop goes in one frame, its length and
 * v8's serialization of it.
 */
export function callsOver(socket: Socket, handlers: Handlers = {}): Calls {
  let outgoing: Message[] = []
  let incoming: Buffer[] = []
  let bytes = 0
  let needed = headBytes

  function flush(): void {
    const body = serialize(outgoing)
    outgoing = []
    const head = Buffer.allocUnsafe(headBytes)
    head.writeUInt32LE(body.length)
    socket.cork()
    socket.write(head)
    socket.write(body)
    socket.uncork()
  }
  const calls = createCalls((message) => {
    if (outgoing.push(message) === 1) setImmediate(flush)
  }, handlers)

  socket.on('data', (chunk: Buffer) => {
    incoming.push(chunk)
    bytes += chunk.length
    if (bytes < needed) return
    let rest = incoming.length === 1 ? chunk : Buffer.concat(incoming)
    for (;;) {
      needed = rest.length < headBytes ? headBytes : headBytes + rest.readUInt32LE()
      if (rest.length < needed) break
      for (const message of deserialize(rest.subarray(headBytes, needed)) as Message[]) calls.take(message)
      rest = rest.subarray(needed)
    }
    incoming = rest.length > 0 ? [rest] : []
    bytes = rest.length
  })
  socket.on('error', () => undefined) // its close follows
  socket.once('close', calls.end)
  return calls
}
