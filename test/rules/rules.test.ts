import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type Reply, useAccounts } from '../support/accounts.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { imageType, pushBlob, pushImage, sha256 } from '../support/registry.ts'

const day = 86_400_000
const postgres = withoutPostgres ? undefined : await startPostgres()
after(() => postgres?.dispose())

for (const database of ['SQLite', 'PostgreSQL'] as const) {
  const isSkipped = database === 'PostgreSQL' && withoutPostgres
  describe(`rules for tags in ${database}`, { skip: isSkipped }, async () => {
    if (isSkipped) return
    const databaseUrl = database === 'PostgreSQL' ? await postgres!.createDatabase() : undefined
    const time = { ms: Date.now() }
    const change: Parameters<typeof useAccounts>[0] = (configuration) => {
      configuration.databaseUrl = databaseUrl
      configuration.collection.keepPulledMs = 0
      configuration.retention.intervalMs = day
    }
    const app = await useAccounts(change, { clock: { now: () => new Date(time.ms) } })
    const { api, must, url, root } = app
    const pass = async (ms: number) => {
      time.ms += ms
      // Nodes that share a database go by its clock; here every job is due.
      if (databaseUrl) await postgres!.execute('delete from job', databaseUrl.split('/').at(-1))
      await app.runJobs()
    }
    const push = (repository: string, tag: string, text = tag) =>
      pushImage(url, repository, tag, [Buffer.from(text)], root)
    const tagsOf = async (repository: string): Promise<string[]> =>
      (await must(`GET /repos/${repository}/-/tags`)).items.map(({ name }: { name: string }) => name)
    const historyOf = async (repository: string, tag: string) =>
      (await must(`GET /repos/${repository}/-/history?tag=${tag}`)).items.map(({ why }: { why: string }) => why)
    const audited = async (action: string) =>
      (await must('GET /audit')).items.find((one: { action: string }) => one.action === action)

    describe('a locked tag', () => {
      it('is neither moved nor deleted, by whatever way, until it is unlocked', async () => {
        const { digest } = await push('locks/a', 'v1')
        const other = await push('locks/a', 'v2', 'other')
        assert.equal((await api('PUT /repos/locks/a/-/tags/v1/lock', { body: {} })).status, 200)
        await push('locks/a', 'v1')
        await assert.rejects(
          push('locks/a', 'v1', 'moved'),
          new RegExp(`403.*tag v1 of locks/a is locked by root and stays at ${digest}.*holdfast tag unlock locks/a:v1`),
        )
        const refused = async (request: string, options = {}) => {
          const reply: Reply = await api(request, options)
          assert.equal(reply.status, 409, request)
          assert.equal(reply.body.type, '/problems/tag-immutable')
        }
        await refused('PUT /repos/locks/a/-/tags/v1', { body: { digest: other.digest } })
        await refused('DELETE /repos/locks/a/-/images/v1')
        await refused(`DELETE /repos/locks/a/-/images/${digest}`)
        assert.equal(await app.status('DELETE /locks/a/manifests/v1', root), 403)
        assert.equal(await app.status(`DELETE /locks/a/manifests/${digest}`, root), 403)
        const shown = await must('GET /repos/locks/a/-/tags/v1')
        assert.equal(shown.lock.by, 'root')
        assert.equal((await api('DELETE /repos/locks/a/-/tags/v1/lock')).status, 204)
        await push('locks/a', 'v1', 'moved')
        assert.equal((await audited('tag.locked')).target, 'locks/a:v1')
        assert.ok(await audited('tag.unlocked'))
      })

      it('may be locked against one of both', async () => {
        await push('locks/b', 'v1')
        await must('PUT /repos/locks/b/-/tags/v1/lock', { body: { delete: false } })
        await assert.rejects(push('locks/b', 'v1', 'moved'), /403/)
        assert.equal(await app.status('DELETE /locks/b/manifests/v1', root), 202)
        await push('locks/b', 'v1', 'moved')
        await must('PUT /repos/locks/b/-/tags/v1/lock', { body: { overwrite: false } })
        await push('locks/b', 'v1', 'again')
        assert.equal(await app.status('DELETE /locks/b/manifests/v1', root), 403)
      })

      it('needs who may push and delete', async () => {
        await must('PUT /orgs/acme', { body: {} })
        const writer = await app.addRobot('acme', 'ci', 'write')
        await push('acme/a', 'v1')
        assert.equal((await api('PUT /repos/acme/a/-/tags/v1/lock', { as: writer, body: {} })).status, 403)
        assert.equal((await api('PUT /repos/acme/a/-/tags/v9/lock', { body: {} })).status, 404)
      })
    })

    describe('rules of a scope', () => {
      it('are set from what was read, hold at once, and are gone when deleted', async () => {
        await push('mode/a', 'v1')
        const path = '/repos/mode/a/-/rules/immutability'
        const body = {
          imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
          imageTagMutabilityExclusionFilters: [{ filterType: 'WILDCARD', filter: 'dev-*' }],
        }
        const made = await api(`PUT ${path}`, { body })
        assert.equal(made.status, 201)
        await assert.rejects(push('mode/a', 'v1', 'two'), /403.*IMMUTABLE_WITH_EXCLUSION of mode\/a/)
        await push('mode/a', 'dev-1', 'one')
        await push('mode/a', 'dev-1', 'two')
        assert.equal((await api(`PUT ${path}`, { body })).status, 428)
        const etag = (await api(`GET ${path}`)).headers.get('etag')!
        const rules = { rules: [{ name: 'digits', tags: ['/^\\d+$/'], delete: 'deny' }] }
        assert.equal((await api(`PUT ${path}`, { body: rules, headers: { 'If-Match': '"old"' } })).status, 412)
        assert.equal((await api(`PUT ${path}`, { body: rules, headers: { 'If-Match': etag } })).status, 200)
        await push('mode/a', 'v1', 'two')
        await push('mode/a', '17', 'one')
        await assert.rejects(push('mode/a', '17', 'two'), /immutability rule digits of mode\/a/)
        assert.equal(await app.status('DELETE /mode/a/manifests/17', root), 403)
        assert.equal((await must('GET /rules')).items.length, 1)
        assert.equal((await api(`DELETE ${path}`)).status, 204)
        await push('mode/a', '17', 'two')
        assert.deepEqual((await audited('rules.deleted')).detail, { kind: 'immutability' })
      })

      it('are refused with the place where they are wrong', async () => {
        for (const [kind, body, message] of [
          ['immutability', { rules: [{ tags: ['/(/'] }] }, /no regular expression/],
          ['immutability', { imageTagMutability: 'FIXED' }, /expected MUTABLE/],
          ['retention', { rules: [{ action: 'expire', olderThan: 'x' }] }, /^\/rules\/0\/olderThan: /],
        ] as const) {
          const reply = await api(`PUT /rules/${kind}`, { body })
          assert.equal(reply.status, 422)
          assert.match(reply.body.detail, message)
        }
        assert.equal((await api('PUT /rules/other', { body: {} })).status, 404)
      })

      it('of a namespace are set by its owners alone', async () => {
        await app.addUser('olga')
        await must('PUT /orgs/acme/members/olga', { body: { role: 'owner' } })
        await app.addUser('mike')
        await must('PUT /orgs/acme/members/mike', { body: { role: 'member' } })
        const body = { rules: [{ repositories: '*/prod', tags: ['v*'] }] }
        const path = '/orgs/acme/rules/immutability'
        assert.equal((await api(`PUT ${path}`, { as: app.user('mike'), body })).status, 403)
        assert.equal((await api(`PUT ${path}`, { as: app.user('olga'), body })).status, 201)
        assert.equal((await api('PUT /rules/immutability', { as: app.user('olga'), body })).status, 403)
        for (const repository of ['acme/prod', 'acme/dev', 'other/prod']) await push(repository, 'v1')
        await assert.rejects(push('acme/prod', 'v1', 'two'), /403/)
        await push('acme/dev', 'v1', 'two')
        await push('other/prod', 'v1', 'two')
      })
    })

    describe('expiry', () => {
      it('takes a tag away when its time has come, and its image to the trash', async () => {
        const { digest } = await push('expiry/a', 'soon')
        await push('expiry/a', 'kept', 'soon')
        await push('expiry/a', 'alone', 'other')
        await push('expiry/a', 'locked', 'locked')
        for (const tag of ['soon', 'alone', 'locked'])
          await must(`PUT /repos/expiry/a/-/tags/${tag}/expiry`, { body: { in: '2h' } })
        await must('PUT /repos/expiry/a/-/tags/locked/lock', { body: {} })
        await pass(3_600_000)
        assert.equal((await tagsOf('expiry/a')).length, 4)
        await pass(3_600_000 + 1000)
        assert.deepEqual(await tagsOf('expiry/a'), ['kept', 'locked'])
        assert.deepEqual(await historyOf('expiry/a', 'soon'), ['expired', 'pushed'])
        assert.equal(await app.status(`GET /expiry/a/manifests/${digest}`, root), 200)
        const { items } = await must('GET /repos/expiry/a/-/trash')
        assert.deepEqual(
          items.map(({ tags, why }: { tags: string[]; why: string }) => [tags, why]),
          [[['alone'], 'expired']],
        )
        await must(`POST /repos/expiry/a/-/images/${items[0].digest}:restore`)
        assert.ok((await tagsOf('expiry/a')).includes('alone'))
        assert.equal((await must('GET /repos/expiry/a/-/tags/alone')).expiresAt, null)
        assert.ok(await audited('image.restored'))
      })

      it('is what was said, or nothing', async () => {
        await push('expiry/b', 'v1')
        const set = (body: object) => api('PUT /repos/expiry/b/-/tags/v1/expiry', { body })
        const at = new Date(time.ms + day).toISOString()
        assert.equal((await set({ at })).body.expiresAt, at)
        assert.equal((await set({})).body.expiresAt, null)
        for (const body of [
          { in: '14 days' },
          { in: '99999w' },
          { at: '2020-01-01T00:00:00Z' },
          { at, in: '1d' },
          { at: 'soon' },
        ])
          assert.equal((await set(body)).status, 422, JSON.stringify(body))
        assert.equal((await api('PUT /repos/expiry/b/-/tags/none/expiry', { body: { in: '1d' } })).status, 404)
      })

      it('comes from a label of the image, and goes with it', async () => {
        const pushLabelled = async (tag: string, label: string) => {
          const config = Buffer.from(
            JSON.stringify({ os: 'linux', config: { Labels: { 'quay.expires-after': label } } }),
          )
          const digest = await pushBlob(url, 'expiry/c', config, root)
          const mediaType = 'application/vnd.oci.image.config.v1+json'
          const manifest = {
            schemaVersion: 2,
            mediaType: imageType,
            config: { mediaType, digest, size: config.length },
            layers: [],
          }
          const body = JSON.stringify(manifest)
          const headers = { 'Content-Type': imageType }
          assert.equal((await app.registry(`PUT /expiry/c/manifests/${tag}`, root, { body, headers })).status, 201)
          return sha256(body)
        }
        const expiryOf = async (tag: string) => (await must(`GET /repos/expiry/c/-/tags/${tag}`)).expiresAt
        for (const [tag, label] of [
          ['week', '1w'],
          ['moved', '2d'],
          ['never', '1h'],
          ['odd', 'tomorrow'],
        ] as const)
          await pushLabelled(tag, label)
        await must('PUT /repos/expiry/c/-/tags/never/expiry', { body: {} })
        await pass(61_000)
        assert.equal(Date.parse(await expiryOf('week')), time.ms - 61_000 + 7 * day)
        assert.ok(await expiryOf('moved'))
        assert.deepEqual([await expiryOf('never'), await expiryOf('odd')], [null, null])
        await push('expiry/c', 'moved', 'another image')
        assert.equal(await expiryOf('moved'), null)
        await pass(8 * day)
        assert.deepEqual(await tagsOf('expiry/c'), ['moved', 'never', 'odd'])
      })
    })

    describe('retention', () => {
      it('shows each tag with its rule, carries out exactly that, and stops when something changed', async () => {
        for (const [index, tag] of ['v1', 'v2', 'v3', 'pr-1', 'pr-2', 'locked'].entries()) {
          time.ms += 1000
          await push('keep/a', tag, `layer ${index}${'.'.repeat(100 * index)}`)
        }
        await must('PUT /repos/keep/a/-/tags/locked/lock', { body: {} })
        const rules = [
          { name: 'releases', action: 'keep', tags: ['v*'], newest: 2 },
          { name: 'all else', action: 'expire', tags: ['*'] },
        ]
        await must('PUT /repos/keep/a/-/rules/retention', { body: { rules } })
        const plan = await must('GET /repos/keep/a/-/retention')
        const lines = plan.items.map(
          ({ tag, verdict, rule, why }: Record<string, string>) => `${tag} ${verdict} ${rule} ${why}`,
        )
        assert.deepEqual(lines.toSorted(), [
          'locked keep null the tag is locked',
          'pr-1 expire all else of keep/a fits *',
          'pr-2 expire all else of keep/a fits *',
          'v1 expire all else of keep/a fits *',
          'v2 keep releases of keep/a among the newest 2',
          'v3 keep releases of keep/a among the newest 2',
        ])
        assert.equal(plan.summary.images, 3)
        await push('keep/a', 'pr-3', 'more')
        const stale = await api('POST /repos/keep/a/-/retention', { body: { plan: plan.id } })
        assert.equal(stale.status, 412)
        assert.equal((await tagsOf('keep/a')).length, 7)
        const next = await must('GET /repos/keep/a/-/retention')
        const done = await must('POST /repos/keep/a/-/retention', { body: { plan: next.id } })
        assert.deepEqual([done.tags, done.images, done.left], [4, 4, 0])
        assert.deepEqual(await tagsOf('keep/a'), ['locked', 'v2', 'v3'])
        assert.deepEqual(await historyOf('keep/a', 'pr-1'), ['retention', 'pushed'])
        assert.equal((await must('GET /repos/keep/a/-/trash')).items.length, 4)
        const { items } = await must('GET /repos/keep/a/-/retention/runs')
        assert.deepEqual([items.length, items[0].state, items[0].by, items[0].items.length], [1, 'applied', 'root', 4])
        assert.ok(await audited('retention.applied'))
      })

      it('frees what it says', async () => {
        const before = (await must('POST /jobs', { body: { kind: 'gc', dryRun: true } })).trash.bytes
        await push('frees/a', 'old', 'only here '.repeat(50))
        await push('frees/a', 'new', 'shared')
        await push('frees/a', 'other', 'shared')
        await must('PUT /repos/frees/a/-/rules/retention', { body: { rules: [{ action: 'expire', tags: ['old'] }] } })
        const plan = await must('GET /repos/frees/a/-/retention')
        const old = plan.items.find(({ tag }: { tag: string }) => tag === 'old')
        assert.equal(old.frees, plan.summary.frees)
        await must('POST /repos/frees/a/-/retention', { body: { plan: plan.id } })
        assert.ok(old.frees >= 500)
        time.ms += 8 * day
        const after = (await must('POST /jobs', { body: { kind: 'gc', dryRun: true } })).trash.bytes
        assert.ok(after - before >= old.frees)
      })

      it('takes what belongs to an image along, and leaves what an index holds', async () => {
        const children = [await push('parts/a', 'x', 'amd64'), await push('parts/a', 'y', 'arm64')]
        for (const tag of ['x', 'y']) assert.equal(await app.status(`DELETE /parts/a/manifests/${tag}`, root), 202)
        const type = 'application/vnd.oci.image.index.v1+json'
        const manifests = children.map(({ digest, manifest }) => ({
          mediaType: imageType,
          digest,
          size: manifest.length,
        }))
        const body = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests })
        await app.registry('PUT /parts/a/manifests/multi', root, { body, headers: { 'Content-Type': type } })
        const signature = `${sha256(body).replace(':', '-')}.sig`
        await push('parts/a', signature, 'a signature')
        await must('PUT /repos/parts/a/-/rules/retention', {
          body: {
            rules: [
              { action: 'expire', untagged: true },
              { action: 'expire', tags: ['*'], olderThan: '1d' },
            ],
          },
        })
        const young = await must('GET /repos/parts/a/-/retention')
        assert.deepEqual([young.summary.expire, young.items.length], [0, 1])
        time.ms += 2 * day
        const plan = await must('GET /repos/parts/a/-/retention')
        assert.equal(plan.summary.images, 4)
        const done = await must('POST /repos/parts/a/-/retention', { body: { plan: plan.id } })
        assert.deepEqual([done.tags, done.images], [2, 4])
        await must(`POST /repos/parts/a/-/images/${sha256(body)}:restore`)
        assert.deepEqual(await tagsOf('parts/a'), ['multi'])
        for (const { digest } of children) assert.equal(await app.status(`GET /parts/a/manifests/${digest}`, root), 200)
      })

      it('runs by itself, the first time only to tell', async () => {
        await push('runs/a', 'pr-1')
        const rulePriority = {
          rulePriority: 1,
          selection: {
            tagStatus: 'tagged',
            tagPrefixList: ['pr-'],
            countType: 'sinceImagePushed',
            countUnit: 'days',
            countNumber: 1,
          },
          action: { type: 'expire' },
        }
        await must('PUT /repos/runs/a/-/rules/retention', { body: { rules: [rulePriority] } })
        const states = async () =>
          (await must('GET /repos/runs/a/-/retention/runs')).items.map(({ state }: { state: string }) => state)
        await pass(2 * day)
        assert.deepEqual(await states(), ['simulated'])
        assert.deepEqual(await tagsOf('runs/a'), ['pr-1'])
        await pass(day + 1000)
        assert.deepEqual(await states(), ['applied', 'simulated'])
        assert.deepEqual(await tagsOf('runs/a'), [])
        await pass(day + 1000)
        assert.equal((await states()).length, 2)
        assert.ok((await must('GET /retention/runs')).items.length > 2)
        const { items } = await must('GET /repos/runs/a/-/trash')
        await must(`POST /repos/runs/a/-/images/${items[0].digest}:restore`)
        assert.equal((await must('GET /repos/runs/a/-/retention')).summary.expire, 0, 'its age begins anew')
      })
    })
  })
}
