import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { createS3, type S3Options } from '../../src/storage/object/s3/client.ts'
import { eventually } from './app.ts'
import { freePort } from './pebble.ts'
import { tethered } from './programs.ts'

const accessKey = 'holdfast-test'
const secretKey = 'a secret of forty characters, or nearly so'

export interface S3Server {
  url: string
  port: number
  /** Where it keeps its objects: a folder each bucket, a file each object. */
  folder: string
  makeBucket(name: string): Promise<void>
}

/** A real S3 server, which checks signatures, on loopback; ends after the tests of the file. */
export async function startS3(): Promise<S3Server> {
  const { stop, ...server } = await runS3()
  after(stop)
  return server
}

/** The same for whoever stops it, with options of its own. */
export async function runS3(options: string[] = []) {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-s3-'))
  const folder = join(parent, 'buckets')
  await mkdir(folder)
  const port = await freePort()
  const keys = ['--access', accessKey, '--secret', secretKey]
  const args = [...keys, '--port', `127.0.0.1:${port}`, '--region', 'us-east-1', '--quiet', ...options]
  const [command, ...rest] = [...tethered, 'versitygw', ...args, 'posix', folder]
  const child = spawn(command!, rest, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await eventually(() => fetch(url).catch(() => undefined))
  return {
    url,
    port,
    folder,
    pid: child.pid!,
    makeBucket: async (name: string) => void (await mkdir(join(folder, name))),
    async stop(): Promise<void> {
      child.kill('SIGKILL')
      await exited
      await rm(parent, { recursive: true, force: true })
    },
  }
}

/** How this program reaches a bucket of the server. */
function s3Options(url: string, bucket: string, more: Partial<S3Options> = {}): S3Options {
  return {
    bucket,
    region: 'us-east-1',
    regionEndpoint: url,
    redirectEndpoint: undefined,
    pathStyle: true,
    secure: false,
    dualStack: false,
    accelerate: false,
    fips: false,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    prefix: '',
    skipVerify: false,
    encryption: undefined,
    storageClass: undefined,
    acl: undefined,
    userAgent: undefined,
    multipartCopy: { threshold: 32 << 20, size: 32 << 20, concurrency: 10 },
    ...more,
  }
}

/** A client of a bucket. */
export const s3For = (url: string, bucket: string, more?: Partial<S3Options>) => createS3(s3Options(url, bucket, more))

/** A bucket as it stands in a configuration file, for Holdfast as for registry:2. */
export function s3Driver(url: string, bucket: string, more = ''): string {
  const keys = `accesskey: ${accessKey}, secretkey: "${secretKey}"`
  return `s3: {bucket: ${bucket}, region: us-east-1, regionendpoint: "${url}", secure: false, ${keys}${more}}`
}

/** The variables with which Holdfast keeps its images there. */
export function s3Env(url: string, bucket: string, { more = '', redirect = false } = {}): Record<string, string> {
  const parts = [s3Driver(url, bucket, more), 'delete: {enabled: true}', `redirect: {disable: ${!redirect}}`]
  return { REGISTRY_STORAGE: `{${parts.join(', ')}}` }
}
