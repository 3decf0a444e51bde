import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { createS3, type S3Options } from '../../src/storage/object/s3/client.ts'
import { eventually } from './app.ts'
import { freePort } from './pebble.ts'
import { tethered } from './programs.ts'

export const accessKey = 'holdfast-test'
export const secretKey = 'a secret of forty characters, or nearly so'

export interface S3Server {
  url: string
  port: number
  /** Where it keeps its objects: a folder each bucket, a file each object. */
  folder: string
  makeBucket(name: string): Promise<void>
}

/** A real S3 server, which checks signatures, on loopback; ends after the tests of the file. */
export async function startS3(): Promise<S3Server> {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-s3-'))
  const folder = join(parent, 'buckets')
  for (const name of ['buckets', 'sidecar']) await mkdir(join(parent, name))
  const port = await freePort()
  const keys = ['--access', accessKey, '--secret', secretKey]
  const args = [...keys, '--port', `127.0.0.1:${port}`, '--region', 'us-east-1', '--quiet']
  const backend = ['posix', '--sidecar', join(parent, 'sidecar'), folder]
  const [command, ...rest] = [...tethered, 'versitygw', ...args, ...backend]
  const child = spawn(command!, rest, { stdio: 'ignore' })
  after(async () => {
    child.kill()
    await rm(parent, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}`
  await eventually(() => fetch(url).catch(() => undefined))
  return { url, port, folder, makeBucket: async (name) => void (await mkdir(join(folder, name))) }
}

/** How this program reaches a bucket of the server. */
export function s3Options(url: string, bucket: string, more: Partial<S3Options> = {}): S3Options {
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

export const s3For = (url: string, bucket: string, more?: Partial<S3Options>) => createS3(s3Options(url, bucket, more))
