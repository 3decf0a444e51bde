import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { run, tethered } from './programs.ts'

/** `docker-registry` is registry:2 as Debian has it, `registry` is registry:3. */
export type OtherProgram = 'docker-registry' | 'registry'

export interface OtherRegistry {
  url: string
  stop(): Promise<void>
}

/** A folder, or the driver with its parameters as it stands in the file. */
type Where = string | { driver: string }

async function configure(where: Where, port: number, more = ''): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'other-registry-')), 'config.yml')
  const maintenance = '{uploadpurging: {enabled: false}}'
  const driver = typeof where === 'string' ? `filesystem: {rootdirectory: ${where}}` : where.driver
  await writeFile(
    file,
    `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {${driver}, redirect: {disable: true}, delete: {enabled: true}, maintenance: ${maintenance}}
http: {addr: "127.0.0.1:${port}"}
${more}
`,
  )
  return file
}

/** Starts another registry on a folder or an object store, with `more` in its file, and waits for its first answer. */
export async function startOther(program: OtherProgram, where: Where, more?: string): Promise<OtherRegistry> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const config = await configure(where, port, more)
  const [command, ...args] = [...tethered, program, 'serve', config]
  // Its S3 driver cannot take certificates from there.
  const env = { ...process.env, OTEL_TRACES_EXPORTER: 'none', AWS_CA_BUNDLE: undefined }
  const child = spawn(command!, args, { stdio: 'ignore', env })
  const exited = once(child, 'exit')
  while (child.exitCode === null && !(await answers(url))) await setTimeout(10)
  if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
  return {
    url,
    async stop() {
      child.kill('SIGTERM')
      await exited
      await rm(dirname(config), { recursive: true })
    },
  }
}

/** Collects garbage as its operator would, with the registry stopped. */
export async function collectGarbage(program: OtherProgram, data: string, ...options: string[]): Promise<void> {
  const config = await configure(data, 0)
  const env = { ...process.env, OTEL_TRACES_EXPORTER: 'none' }
  await run(program, ['garbage-collect', ...options, config], { env })
  await rm(dirname(config), { recursive: true })
}

async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/v2/`).then(
    ({ ok, status }) => ok || status === 401,
    () => false,
  )
}

/** A loopback port that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
