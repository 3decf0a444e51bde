import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { backUp, type Tell } from '../../src/backup/back-up.ts'
import { openPlace } from '../../src/backup/place.ts'
import { restore } from '../../src/backup/restore.ts'
import { verify } from '../../src/backup/verify.ts'
import type { Configuration } from '../../src/config/configuration.ts'
import type { StorageDriver } from '../../src/registry/ports/storage.ts'
import { call, digestOf } from '../support/client.ts'

export const clock = { now: () => new Date() }

/** A folder that goes after the tests. */
export async function useFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-backup-test-'))
  after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export const placeAt = (folder: string) => openPlace(folder, { mayMake: true, clock })

/** Notes what is wrong. */
function listen(): { tell: Tell; problems: string[] } {
  const problems: string[] = []
  const problem: Tell['problem'] = (digest, text, images) =>
    problems.push(`${digest} ${text} ${images.join(' ')}`.trim())
  return { tell: { progress() {}, problem }, problems }
}

interface More {
  keep?: number
  recheck?: boolean
  limit?: number
  clock?: { now(): Date }
}

export async function backUpTo(to: StorageDriver, configuration: Configuration, more: More = {}) {
  const { tell, problems } = listen()
  return { ...(await backUp({ configuration, clock, to, tell, recheck: false, ...more })), problems }
}

export async function verifyAt(from: StorageDriver, configuration: Configuration, isQuick = false, snapshot?: string) {
  const { tell, problems } = listen()
  return { ...(await verify({ configuration, clock, from, tell, isQuick, snapshot })), problems }
}

export async function restoreFrom(from: StorageDriver, configuration: Configuration, more = {}) {
  const { tell, problems } = listen()
  return { ...(await restore({ configuration, clock, from, tell, isPartial: false, ...more })), problems }
}

export interface Image {
  repository: string
  digest: string
}

/** Pulls images and all they name, and compares every byte with its digest. */
export async function expectWhole(url: string, images: Image[]): Promise<void> {
  for (const { repository, digest } of images) {
    const { status, body } = await call(url, 'GET', `/v2/${repository}/manifests/${digest}`)
    assert.equal(status, 200, `${repository}@${digest}`)
    assert.equal(digestOf(body), digest)
    const { config, layers = [], manifests = [] } = JSON.parse(body.toString())
    for (const blob of [...(config ? [config] : []), ...layers]) {
      const found = await call(url, 'GET', `/v2/${repository}/blobs/${blob.digest}`)
      assert.equal(found.status, 200, `${repository} ${blob.digest}`)
      assert.equal(digestOf(found.body), blob.digest)
    }
    await expectWhole(
      url,
      manifests.map((child: Image) => ({ repository, digest: child.digest })),
    )
  }
}

/** Paths of the files of blobs. */
export async function blobFiles(folder: string): Promise<string[]> {
  const root = join(folder, 'docker/registry/v2/blobs')
  const all = await readdir(root, { recursive: true })
  return all.filter((path) => path.endsWith('/data')).map((path) => join(root, path))
}
