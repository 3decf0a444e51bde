import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import type { Run } from '../metadata/sql/commands.ts'
import type { Gate } from '../volume/gate.ts'
import { callsOver } from './frames.ts'

/** How the volume stands at the writer. */
export interface VolumeState {
  isOpen: boolean
  isMissing: boolean
}

/** Lets the other processes hand in their commands, which are committed together with those of this one. */
export async function hostWriter(path: string, { run, gate }: { run: Run; gate: Gate }): Promise<{ close(): void }> {
  const sockets = new Set<Socket>()
  const handlers = {
    run,
    async ready(repository: string): Promise<VolumeState> {
      if (!gate.isOpen()) await gate.ready(repository)
      return { isOpen: gate.isOpen(), isMissing: gate.isMissing() }
    },
    names: gate.names,
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    callsOver(socket, handlers)
  })
  rmSync(path, { force: true }) // of the writer before this one
  server.listen(path)
  await once(server, 'listening')
  return {
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
