import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { run, tethered } from './programs.ts'
import type { Sandbox } from './sandbox.ts'

/** Starts a containerd with its own root, state and socket; gives the socket. It ends with the sandbox. */
export async function startContainerd(sandbox: Sandbox): Promise<string> {
  const socket = sandbox.path('containerd.sock')
  const config = await sandbox.write(
    'containerd.toml',
    [
      'version = 2',
      `root = "${sandbox.path('containerd-root')}"`,
      `state = "${sandbox.path('containerd-state')}"`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]',
      `[grpc]\naddress = "${socket}"`,
      `[ttrpc]\naddress = "${socket}.ttrpc"`,
    ].join('\n'),
  )
  await startDaemon(sandbox, 'containerd', ['--config', config], () =>
    run('ctr', ['--address', socket, 'version'], { env: sandbox.env, timeout: 5000 }),
  )
  return socket
}

/** Starts a Docker daemon without network and with everything it keeps in the sandbox; gives the address of its socket. */
export async function startDockerd(sandbox: Sandbox): Promise<string> {
  const address = `unix://${sandbox.path('docker.sock')}`
  const containerd = await startContainerd(sandbox)
  const args = [
    ['--host', address],
    ['--containerd', containerd],
    ['--data-root', sandbox.path('docker-root')],
    ['--exec-root', sandbox.path('docker-exec')],
    ['--pidfile', sandbox.path('docker.pid')],
    ['--config-file', await sandbox.write('daemon.json', '{}')],
    ['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs'],
  ].flat()
  await startDaemon(sandbox, 'dockerd', args, () =>
    run('docker', ['--host', address, 'version'], { env: sandbox.env, timeout: 5000 }),
  )
  return address
}

async function startDaemon(
  sandbox: Sandbox,
  command: string,
  args: string[],
  answers: () => Promise<unknown>,
): Promise<void> {
  const log = sandbox.path(`${command}.log`)
  const file = openSync(log, 'w')
  const [program, ...rest] = [...tethered, command, ...args]
  await mkdir(sandbox.path('tmp'), { recursive: true })
  const child = spawn(program!, rest, { env: sandbox.env, stdio: ['ignore', file, file] })
  closeSync(file)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  sandbox.defer(async () => {
    child.kill('SIGTERM')
    const cut = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(cut)
  })
  const start = Date.now()
  for (;;) {
    const running = child.exitCode === null && child.signalCode === null
    if (
      await answers().then(
        () => running,
        () => false,
      )
    )
      return
    if (!running || Date.now() - start > 30_000)
      throw new Error(`${command} does not answer:\n${(await readFile(log, 'utf8')).slice(-4000)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
