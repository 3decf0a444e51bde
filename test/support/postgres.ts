import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type QueryResultRow } from 'pg'
import { freePort } from './other-registry.ts'
import { need, run } from './programs.ts'

/** Why tests with PostgreSQL cannot run here, as the `skip` of node:test; false when they can. */
export const withoutPostgres = need('initdb', 'postgres')

const asRoot = process.getuid?.() === 0
/** PostgreSQL refuses to run as root. */
const unprivileged = asRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : []

export type Postgres = Awaited<ReturnType<typeof startPostgres>>

/** Debian's PostgreSQL with its data in a temporary folder, on a loopback port; `durable` for measurements. */
export async function startPostgres({ durable = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'))
  const password = randomBytes(8).toString('hex')
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, password)
  if (asRoot) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, 'postgres']).stdout.toString()))
    for (const path of [folder, passwordFile]) await chown(path, uid!, gid!)
  }
  const data = join(folder, 'data')
  const initdb = ['initdb', '-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C.UTF-8']
  await inFolder([...initdb, `--pwfile=${passwordFile}`, '--no-sync'])
  const port = await freePort()
  let server: ChildProcess | undefined

  async function inFolder(command: string[]): Promise<void> {
    const [program, ...args] = [...unprivileged, ...command]
    await run(program!, args, { cwd: folder })
  }
  function url(database = 'postgres', as = `postgres:${password}`): string {
    return `postgres://${as}@127.0.0.1:${port}/${database}`
  }

  async function start(): Promise<void> {
    const quick = durable ? [] : ['fsync=off', 'autovacuum=off']
    const settings = [...quick, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`]
    const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
    const tether = spawnSync('setpriv', ['--pdeathsig', 'QUIT', 'true']).status === 0
    const command = [...(tether ? ['setpriv', '--pdeathsig', 'QUIT'] : []), ...unprivileged, 'postgres', ...args]
    server = spawn(command[0]!, command.slice(1), { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    server.stderr!.on('data', (chunk: Buffer) => (log += chunk.toString()))
    for (const end = Date.now() + 20_000; !log.includes('database system is ready to accept connections');) {
      if (server.exitCode !== null || Date.now() > end) throw new Error(`PostgreSQL does not start:\n${log}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Ends the server: with its connections cut at once, or as if the machine had crashed. */
  async function stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    process.kill(await mainProcess(), how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await exited
  }
  /** The server, not what started it. */
  async function mainProcess(): Promise<number> {
    return Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0])
  }

  async function execute<Row extends QueryResultRow>(text: string, database?: string): Promise<Row[]> {
    const client = new Client({ connectionString: url(database) })
    await client.connect()
    try {
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

  let databases = 0
  await start()
  return {
    port,
    url,
    start,
    stop,
    mainProcess,
    execute,
    /** Makes an empty database and gives its URL. */
    async createDatabase(options = ''): Promise<string> {
      const name = `holdfast_${++databases}`
      await execute(`create database ${name} ${options}`)
      return url(name)
    },
    /** Ends the server and removes its data. */
    async dispose(): Promise<void> {
      await stop('immediate')
      await rm(folder, { recursive: true, force: true })
    },
  }
}
