import type { Socket } from 'node:net'

/** What a connection begins with. */
export type Protocol = 'tls' | 'http2' | 'http1'

const tlsHandshake = 0x16
const preface = 'PRI * HTTP/2.0'

/**
 * Reads the first bytes of a connection and puts them back: a whole TLS ClientHello, or as much as tells HTTP/2 from HTTP/1.
 * Who sends nothing for `limitMs` is cut, and `found` is not called.
 */
export function sniff(socket: Socket, limitMs: number, found: (protocol: Protocol, first: Buffer) => void): void {
  let first: Buffer = Buffer.alloc(0)
  const end = () => void socket.destroy()
  const timer = setTimeout(end, limitMs)
  const stop = () => {
    clearTimeout(timer)
    socket.off('data', onData).off('end', end).off('close', stop)
  }
  function onData(chunk: Buffer): void {
    first = first.length === 0 ? chunk : Buffer.concat([first, chunk])
    const protocol = protocolOf(first)
    if (!protocol) return
    stop()
    socket.pause()
    socket.unshift(first)
    found(protocol, first)
  }
  socket.on('data', onData).on('end', end).on('close', stop)
}

/** Undefined while the bytes do not tell. */
function protocolOf(first: Buffer): Protocol | undefined {
  if (first[0] === tlsHandshake)
    return first.length >= 5 && first.length >= 5 + first.readUInt16BE(3) ? 'tls' : undefined
  const text = first.toString('latin1', 0, preface.length)
  if (text === preface) return 'http2'
  return preface.startsWith(text) ? undefined : 'http1'
}
