import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { ImmutabilityRule } from '../../src/rules/immutability.ts'
import { useApp } from '../support/app.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { imageType, pushImage } from '../support/registry.ts'

const rule = (more: Partial<ImmutabilityRule>): ImmutabilityRule => ({
  name: 'releases of the configuration',
  scope: '*',
  repositories: '*',
  tags: ['*'],
  exclude: [],
  overwrite: 'deny',
  delete: 'allow',
  ...more,
})

const postgres = withoutPostgres ? undefined : await startPostgres()
after(() => postgres?.dispose())

for (const database of ['SQLite', 'PostgreSQL'] as const) {
  const isSkipped = database === 'PostgreSQL' && withoutPostgres
  describe(`immutable tags in ${database}`, { skip: isSkipped }, async () => {
    if (isSkipped) return
    const url = database === 'PostgreSQL' ? await postgres!.createDatabase() : undefined
    const app = await useApp((configuration) => {
      configuration.databaseUrl = url
      configuration.immutability = [
        rule({ repositories: 'prod/**', tags: ['v*', '/^\\d+$/'], exclude: ['v0*'] }),
        rule({ name: 'kept of the configuration', repositories: 'kept/*', overwrite: 'allow', delete: 'deny' }),
      ]
    })
    const base = `http://127.0.0.1:${app.port}`

    const push = (repository: string, tag: string, text: string) =>
      pushImage(base, repository, tag, [Buffer.from(text)])
    const remove = (repository: string, reference: string) =>
      fetch(`${base}/v2/${repository}/manifests/${reference}`, { method: 'DELETE' })
    const digestOf = async (repository: string, tag: string) =>
      (await fetch(`${base}/v2/${repository}/manifests/${tag}`)).headers.get('docker-content-digest')

    it('refuses to move one, says why, and takes the same digest again', async () => {
      const { digest } = await push('prod/a', 'v1', 'one')
      await push('prod/a', 'v1', 'one')
      const refusal = `tag v1 of prod/a is protected by the immutability rule releases of the configuration and stays at ${digest}: push another tag, or have the rule changed`
      await assert.rejects(push('prod/a', 'v1', 'two'), new RegExp(`403.*"DENIED".*${refusal}`))
      assert.equal(await digestOf('prod/a', 'v1'), digest)
      for (const [tag, repository] of [
        ['v0.1', 'prod/a'],
        ['latest', 'prod/a'],
        ['v1', 'dev/a'],
        [`sha256-${'a'.repeat(64)}.sig`, 'prod/a'],
      ] as const) {
        await push(repository, tag, 'one')
        await push(repository, tag, 'two')
      }
    })

    it('refuses a push with several tags as a whole', async () => {
      const { digest, manifest } = await push('prod/many', 'dev', 'one')
      await push('prod/many', '7', 'two')
      const reply = await fetch(`${base}/v2/prod/many/manifests/${digest}?tag=new&tag=7`, {
        method: 'PUT',
        headers: { 'Content-Type': imageType },
        body: Uint8Array.from(manifest),
      })
      assert.equal(reply.status, 403)
      assert.equal(await digestOf('prod/many', 'new'), null)
    })

    it('is won by exactly one of many that push at once', async () => {
      await push('prod/race', 'dev', 'layer')
      const texts = Array.from({ length: 12 }, (_, index) => `layer ${index}`)
      const results = await Promise.allSettled(texts.map((text) => push('prod/race', 'v9', text)))
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    })

    it('may be deleted where only overwriting is denied, and then pushed anew', async () => {
      await push('prod/again', 'v1', 'one')
      assert.equal((await remove('prod/again', 'v1')).status, 202)
      await push('prod/again', 'v1', 'two')
    })

    it('is not deleted where that is denied, by its digest neither, but may move', async () => {
      const { digest } = await push('kept/a', 'v1', 'one')
      await push('kept/a', 'other', 'one')
      const byTag = await remove('kept/a', 'v1')
      assert.equal(byTag.status, 403)
      assert.match(await byTag.text(), /tag v1 of kept\/a \(sha256:\w{64}\) is protected .* is not deleted/)
      const byDigest = await remove('kept/a', digest)
      assert.equal(byDigest.status, 403)
      assert.match(await byDigest.text(), new RegExp(`kept/a.*${digest}.*is not deleted`))
      await push('kept/a', 'v1', 'two')
      await push('kept/a', 'other', 'two')
      assert.equal((await remove('kept/a', digest)).status, 202, 'no tag points there any more')
    })
  })
}
