import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../test/support/postgres.ts'
import { runS3, s3Driver } from '../test/support/s3.ts'
import { cpuSeconds, cpuSecondsOfAll } from './products.ts'

export type ObjectServer = Awaited<ReturnType<typeof startObjectServer>>

/** An S3 server on the client's processor that keeps connections open, as Amazon's does, and counts requests. */
export async function startObjectServer() {
  const log = join(tmpdir(), `holdfast-bench-s3-${process.pid}.log`)
  const { url, pid, folder, makeBucket, stop } = await runS3(['--keep-alive', '--access-log', log])
  return {
    folder,
    makeBucket,
    driver: (bucket: string) => s3Driver(url, bucket),
    cpu: () => cpuSeconds(pid),
    /** Requests for a bucket so far. */
    async requests(bucket: string): Promise<number> {
      let count = 0
      let last = ''
      for await (const chunk of createReadStream(log, 'utf8')) {
        const lines = (last + String(chunk)).split('\n')
        last = lines.pop()!
        count += lines.filter((line) => line.includes(` ${bucket} `)).length
      }
      return count
    },
    async stop(): Promise<void> {
      await stop()
      await rm(log, { force: true })
    },
  }
}

export type Database = Awaited<ReturnType<typeof startDatabase>>

/** PostgreSQL on the client's processor, with the settings of its package. */
export async function startDatabase() {
  const postgres = await startPostgres({ durable: true })
  const pid = await postgres.mainProcess()
  return { ...postgres, cpu: () => cpuSecondsOfAll(pid) }
}
