// Plain JavaScript for any Node from 20 on: finds the Node that came along as a package, and installs what is missing.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
/** As in bin/holdfast: compiled code is kept, and memory is not split by thread. */
const settings = {
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(modules, '.cache', 'compile'),
  MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '2',
}

/** Runs `npm ci` when nothing is installed yet or the lockfile is newer than what is; tells whether it did. */
export function installIfStale() {
  if (isInstalled()) return false
  const lock = join(root, '.installing')
  while (isHeld(lock)) spawnSync('sleep', ['0.2']) // a second one would take away what the first one is writing
  const isDone = isInstalled()
  if (!isDone) process.stderr.write('holdfast: installing packages (once) …\n')
  const { status } = isDone
    ? { status: 0 }
    : spawnSync('npm', ['ci'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  rmSync(lock, { force: true })
  if (status !== 0) fail('Cannot install packages: "npm ci" failed (see above)')
  return !isDone
}

function isInstalled() {
  const marker = join(modules, '.package-lock.json')
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
}

/** Takes the lock, unless a process that still runs has it: a link to its number, which is there whole or not at all. */
function isHeld(lock) {
  try {
    symlinkSync(String(process.pid), lock)
    return false
  } catch (error) {
    if (error.code !== 'EEXIST') return false // npm will say it better
  }
  try {
    process.kill(Number(readlinkSync(lock)), 0)
  } catch (error) {
    if (error.code === 'ESRCH') rmSync(lock, { force: true })
  }
  return true
}

/**
 * Starts the server once on a folder that is thrown away. That fills the compile cache: without it the process that compiles
 * the TypeScript keeps half as much memory again for as long as it runs.
 */
export function warmUp() {
  const data = mkdtempSync(join(tmpdir(), 'holdfast-'))
  const args = [join(root, 'src/main.ts'), 'serve', '--addr', '127.0.0.1:0', '--data', data]
  const child = spawn(findNode(), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...settings, REGISTRY_LOG_LEVEL: 'info' },
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), 30_000)
  child.stderr.on('data', () => child.kill('SIGTERM')) // it says where it listens
  return new Promise((resolve) =>
    child.on('exit', () => {
      clearTimeout(limit)
      rmSync(data, { recursive: true, force: true })
      resolve()
    }),
  )
}

/** The Node to run with: the bundled one where it starts, else this one if it is new enough. */
export function findNode() {
  const { platform, arch } = process
  for (const name of [`node-${platform}-${arch}`, `node-bin-${platform}-${arch}`]) {
    const binary = join(modules, name, 'bin', 'node')
    // The binaries need glibc: where there is another C library they are installed all the same and do not start.
    if (existsSync(binary) && spawnSync(binary, ['--version']).status === 0) return binary
  }
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 15)) return process.execPath
  return fail(
    `Cannot start: no Node package runs on ${platform}-${arch}; install Node 24.15 or newer (this is ${process.version})`,
  )
}

/** Starts Node with these arguments, hands signals on to it, and ends as it ends. */
export function runNode(args, env = {}) {
  const child = spawn(findNode(), ['--use-system-ca', ...args], {
    stdio: 'inherit',
    env: { ...process.env, ...settings, ...env },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  return new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1))))
}

function fail(message) {
  process.stderr.write(`holdfast: ${message}\n`)
  process.exit(1)
}
