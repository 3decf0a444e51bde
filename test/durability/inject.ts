import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The calls that change a file system. Not `write`: these threads only wake each other with it. */
const changing =
  'pwrite64,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir'

/** The threads that write: of the file system's pool (run the server with UV_THREADPOOL_SIZE=1), and of the database. */
export const threads = { files: 'libuv-worker', database: 'WorkerThread' } as const
export type Thread = keyof typeof threads

export interface Point {
  thread: Thread
  call: string
  /** Which call of this kind and thread, from 1. */
  n: number
}

export type Fault = 'SIGKILL' | 'ENOSPC' | 'EIO' | 'ENOSPC+'

interface Attached {
  /** Lets go of the server; gives what was traced. */
  detach(): Promise<string[]>
}

/** Every point of `work` where one of the threads changes the file system. */
export async function pointsOf(pid: number, work: () => Promise<unknown>): Promise<Point[]> {
  const names = Object.keys(threads) as Thread[]
  const traces = await Promise.all(names.map((name) => attach(pid, name, ['-e', `trace=${changing}`])))
  await work()
  const points: Point[] = []
  for (const [index, thread] of names.entries()) {
    const counts = new Map<string, number>()
    for (const line of await traces[index]!.detach()) {
      const call = /^(\w+)\(/.exec(line)?.[1]
      if (!call) continue
      counts.set(call, (counts.get(call) ?? 0) + 1)
      points.push({ thread, call, n: counts.get(call)! })
    }
  }
  return points
}

/** Makes the n-th of these calls fail, or kill the process; `ENOSPC+` is a disk that stays full. */
export function injectAt(pid: number, { thread, call, n }: Point, fault: Fault): Promise<Attached> {
  const what = fault === 'SIGKILL' ? 'signal=KILL' : `error=${fault.replace('+', '')}`
  const calls = fault === 'ENOSPC+' && call === 'pwrite64' ? 'pwrite64,pwritev,mkdir' : call
  return attach(pid, thread, [
    `--trace=${calls}`,
    `--inject=${calls}:${what}:when=${n}${fault === 'ENOSPC+' ? '+' : ''}`,
  ])
}

/** Turns every fsync of the process into nothing: shows that a power cut test can fail. */
export function ignoreSyncs(pid: number): Promise<Attached> {
  return attachTo(pid, ['-f', '-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:retval=0'])
}

/** Follows every thread of the process; paths are written out. */
export function traceAll(pid: number, calls: string): Promise<Attached> {
  return attachTo(pid, ['-f', '-y', '-e', `trace=${calls}`])
}

async function attach(pid: number, thread: Thread, options: string[]): Promise<Attached> {
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const name = await readFile(`/proc/${pid}/task/${task}/comm`, 'utf8')
    if (name.trim() === threads[thread]) return attachTo(Number(task), options)
  }
  throw new Error(`Cannot attach to ${pid}: it has no thread ${threads[thread]}`)
}

async function attachTo(task: number, options: string[]): Promise<Attached> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-strace-'))
  const output = join(folder, 'trace')
  const strace = spawn('strace', ['-p', String(task), '-o', output, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = new Promise<void>((resolve) => strace.once('exit', () => resolve()))
  await said(strace, /attached/)
  return {
    async detach() {
      strace.kill('SIGINT')
      await exited
      const lines = (await readFile(output, 'utf8')).split('\n')
      await rm(folder, { recursive: true })
      return lines
    },
  }
}

function said(child: ChildProcess, what: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (what.test(text)) resolve()
    })
    child.once('exit', () => reject(new Error(`Cannot trace: ${text}`)))
  })
}
