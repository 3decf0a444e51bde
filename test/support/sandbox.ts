import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { run, type RunOptions, tethered } from './programs.ts'
import { pushBlob, type RunningRegistry, startRegistry } from './registry.ts'

/** A change of state as the server logged it. */
export interface Recorded {
  event: string
  repository: string
  digest: string
}

/** A running registry, and a folder with a home of its own in which client programs run. */
export interface Sandbox {
  registry: RunningRegistry
  /** `127.0.0.1:PORT`, as clients name the registry. */
  host: string
  env: NodeJS.ProcessEnv
  path(...names: string[]): string
  /** Writes a file below the folder and gives its path. */
  write(name: string, content: string | Uint8Array): Promise<string>
  run(command: string, args: string[], options?: RunOptions): Promise<string>
  /** What the server logged about blobs and manifests while `work` ran. */
  recorded(work: () => Promise<unknown>): Promise<Recorded[]>
  /** The digest under which the registry serves this manifest. */
  digest(repository: string, reference: string): Promise<string>
  /** Something to do before the folder goes, such as ending a daemon; the last one added is the first one done. */
  defer(work: () => Promise<unknown>): void
  /** Ends and removes everything. @throws Error when the server logged a warning or an error: no client here gives reason to but by a wrong password */
  dispose(): Promise<void>
}

/** Starts a registry, with these variables, and makes the folder. Everything is gone after `dispose`. */
export async function createSandbox(
  settings: (folder: string) => Record<string, string> = () => ({}),
): Promise<Sandbox> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-client-'))
  const registry = await startRegistry({ data: join(folder, 'registry'), under: tethered, env: settings(folder) })
  const deferred: (() => Promise<unknown>)[] = []
  const env = await privateEnvironment(folder)
  let markers = 0

  const path = (...names: string[]) => join(folder, ...names)
  async function write(name: string, content: string | Uint8Array): Promise<string> {
    await mkdir(dirname(path(name)), { recursive: true })
    await writeFile(path(name), content)
    return path(name)
  }
  async function recorded(work: () => Promise<unknown>): Promise<Recorded[]> {
    const start = registry.errors().length
    await work()
    // The log comes through a pipe: once this blob's line is there, all earlier ones are.
    const marker = await pushBlob(registry.url, 'marker', Buffer.from(`marker ${markers++}`))
    for (let patience = 200; !registry.errors().includes(marker) && patience > 0; patience--)
      await new Promise((resolve) => setTimeout(resolve, 10))
    return parseEvents(registry.errors().slice(start)).filter(({ repository }) => repository !== 'marker')
  }
  async function digest(repository: string, reference: string): Promise<string> {
    const reply = await fetch(`${registry.url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD' })
    if (reply.status !== 200) throw new Error(`HEAD ${repository} ${reference}: ${reply.status}`)
    return reply.headers.get('docker-content-digest') ?? ''
  }

  return {
    registry,
    host: registry.host,
    env,
    path,
    write,
    run: (command, args, options) => run(command, args, { env, cwd: folder, ...options }),
    recorded,
    digest,
    defer: (work) => void deferred.unshift(work),
    async dispose() {
      for (const work of deferred) await work()
      await registry.dispose()
      await unmountBelow(folder)
      await rm(folder, { recursive: true, force: true })
      const complaints = registry.errors().match(/^\S+ (?:warn|error) +(?! *login\.failed).*$/gm)
      if (complaints) throw new Error(`The server complained:\n${complaints.join('\n')}`)
    },
  }
}

/** How many events of this kind there are; of one repository, if named. */
export function count(events: Recorded[], event: string, repository?: string): number {
  return events.filter((item) => item.event === event && (repository ?? item.repository) === item.repository).length
}

function parseEvents(output: string): Recorded[] {
  return [...output.matchAll(/ info {2}((?:blob|manifest|tag)\.[\w-]+) (.*)$/gm)].map(([, event, fields]) => ({
    event: event!,
    repository: /repository=(\S+)/.exec(fields!)?.[1] ?? '',
    digest: /digest=(\S+)/.exec(fields!)?.[1] ?? '',
  }))
}

/** Nothing of the user's: no credentials, no settings, no caches, no stores. */
async function privateEnvironment(folder: string): Promise<NodeJS.ProcessEnv> {
  const home = join(folder, 'home')
  const config = join(home, '.config')
  const containers = join(config, 'containers')
  const temporary = join(folder, 'tmp')
  const runtime = join(folder, 'run')
  for (const name of [containers, temporary, runtime]) await mkdir(name, { recursive: true, mode: 0o700 })
  await writeFile(join(containers, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  await writeFile(join(containers, 'registries.conf'), '')
  return {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: home,
    TMPDIR: temporary,
    XDG_CONFIG_HOME: config,
    XDG_DATA_HOME: join(home, '.local/share'),
    XDG_CACHE_HOME: join(home, '.cache'),
    XDG_RUNTIME_DIR: runtime,
    CONTAINERS_REGISTRIES_CONF: join(containers, 'registries.conf'),
    BUILDAH_ISOLATION: 'chroot',
  }
}

/** A daemon that was killed leaves its mounts behind, and removing the folder would reach through them. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '') // another system than Linux
  const points = mounts.split('\n').map((line) => line.split(' ')[4] ?? '')
  for (const point of points.filter((name) => name.startsWith(`${folder}/`)).toReversed())
    await run('umount', ['--lazy', point])
}
