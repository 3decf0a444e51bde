import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

export interface Mounted {
  path: string
  dispose(): Promise<void>
}

export async function makeTemporaryFolder(): Promise<Mounted> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-'))
  return { path, dispose: () => rm(path, { recursive: true, force: true }) }
}

/** A file system in memory with this much room, which can grow. */
export async function makeTmpfs(megabytes: number): Promise<Mounted & { grow(megabytes: number): void }> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-tmpfs-'))
  run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,nr_inodes=20000`, 'tmpfs', path)
  return {
    path,
    grow: (more) => run('mount', '-o', `remount,size=${more}m`, path),
    dispose: () => unmount(path, path),
  }
}

/** An ext4 file system of its own in a file. */
export async function makeExt4(megabytes: number): Promise<Mounted & { remount(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ext4-'))
  const [image, path] = [join(folder, 'image'), join(folder, 'mounted')]
  run('truncate', '-s', `${megabytes}M`, image)
  run('mkfs.ext4', '-q', '-F', image)
  run('mkdir', path)
  run('mount', '-o', 'loop', image, path)
  return {
    path,
    async remount() {
      await detach(path)
      run('mount', '-o', 'loop', image, path)
    },
    dispose: () => unmount(path, folder),
  }
}

async function unmount(path: string, folder: string): Promise<void> {
  await detach(path)
  await rm(folder, { recursive: true, force: true })
}

/** A process that was killed closes its output a moment before its files. */
async function detach(path: string): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      return run('umount', path)
    } catch (error) {
      if (tries === 50 || !String(error).includes('busy')) throw error
      await setTimeout(100)
    }
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { timeout: 60_000 })
  if (status !== 0) throw new Error(`Cannot run ${command} ${args.join(' ')}: ${String(stderr)}`)
}

/** Why a test that needs root and these programs cannot run here; false when it can. */
export function unable(...programs: string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  const missing = programs.filter((program) => spawnSync('which', [program]).status !== 0)
  return missing.length > 0 && `needs ${missing.join(', ')}`
}
