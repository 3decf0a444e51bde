import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'

/**
 * Makes room for a unix socket at this path: removes one that a dead process left.
 * @throws Error when a living process listens there, or it is something else than a socket
 */
export async function freeUnixSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (!found) return
  if (!found.isSocket())
    throw new Error(`Cannot listen on ${path}: it is there and no socket; remove it or choose another path`)
  if (await isAlive(path)) throw new Error(`Cannot listen on ${path}: another program listens there`)
  await unlink(path)
}

async function isAlive(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    // Anything but "nobody listens" (no permission, say) may be a living one.
    return (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
