import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { commandLine } from '../support/command-line.ts'
import { adminPassword, basic } from '../support/accounts.ts'
import { pushImage, type RunningRegistry, startRegistry } from '../support/registry.ts'

describe('the commands about the life of images', () => {
  let folder: string
  let registry: RunningRegistry
  let env: NodeJS.ProcessEnv
  const { holdfast, must } = commandLine(() => env)
  const push = (repository: string) =>
    pushImage(registry.url, repository, 'v1', [Buffer.from('a layer')], basic('root', adminPassword))
  let digest: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-life-'))
    registry = await startRegistry({
      data: join(folder, 'data'),
      env: { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword },
    })
    env = { ...process.env, DOCKER_CONFIG: folder, XDG_CONFIG_HOME: folder }
    await must(['login', registry.host, '-u', 'root', '--password-stdin'], adminPassword)
    digest = (await push('acme/app')).digest
  })
  after(async () => {
    await registry.stop()
    await rm(folder, { recursive: true, force: true })
  })

  for (const command of [
    'admin scrub nosuch/repository',
    'admin scrub Not-A-Name',
    'admin usage nosuch',
    'admin usage nosuch/repository',
    'repo show nosuch/repository',
    'tag history nosuch/repository',
    'tag history nosuch/repository:v1',
    'tag history acme/app:nosuch',
    'tag ls nosuch/repository',
    'tag show acme/app:nosuch',
    'trash ls nosuch/repository',
    'retention preview nosuch/repository',
    'retention preview --org nosuch',
    'retention history nosuch/repository',
    'quota show nosuch',
    'quota rm nosuch',
    'rm acme/app:nosuch',
    `restore nosuch/repository@sha256:${'0'.repeat(64)}`,
  ])
    it(`end with 5 where there is no such thing: ${command}`, async () => {
      const { code, out, errors } = await holdfast(command.split(' '))
      assert.deepEqual([code, out], [5, ''], errors)
      assert.match(errors, /^holdfast: (there is no |\S+ has no tag |\S+ is not in the trash )/)
    })

  for (const command of [
    'tag ls acme/app --as-of yesterday',
    'tag ls acme/app --as-of 2030-13-45',
    'tag ls acme/app --as-of 1',
    'tag expire acme/app:v1 in soon',
    'tag expire acme/app:v1 at noon',
    'tag lock acme/app:v1 --only both',
    'tag restore acme/app:v1 sha256:0',
    'rm acme/app@sha256:0',
    'restore acme/app@sha256:0',
    'retention preview acme/app --only some',
    'retention apply acme/app some-plan',
    'quota set acme 1GB --soft much',
    'quota set acme 1GB --soft 0',
    'quota set acme lots',
    'backup DIR --keep 0',
    'backup DIR --limit fast',
    'admin gc -o yaml',
  ])
    it(`end with 2 and one line where a value is malformed: ${command}`, async () => {
      const { code, out, errors } = await holdfast(command.replace('DIR', join(folder, 'backup')).split(' '))
      assert.deepEqual([code, out], [2, ''], errors)
      assert.match(errors, /^holdfast: [^\n]+$/)
    })

  it('take a day as a moment', async () => {
    assert.equal(await must(['tag', 'ls', 'acme/app', '--as-of', '2001-01-01', '-o', 'name']), '')
    assert.equal(await must(['tag', 'ls', 'acme/app', '--as-of', '9999-01-01', '-o', 'name']), 'v1')
  })

  it('tell of what is in the trash how much it takes and frees', async () => {
    await push('acme/other')
    const sizes = await must(['repo', 'show', 'acme/app:v1', '-o', 'json'])
    const { sizeStored } = JSON.parse(sizes)
    await must(['rm', 'acme/app:v1'])
    const trash = async () => JSON.parse(await must(['trash', 'ls', 'acme/app', '-o', 'json']))[0]
    assert.deepEqual([(await trash()).sizeStored, (await trash()).sizeExclusive], [sizeStored, 0])
    await must(['rm', 'acme/other:v1'])
    assert.match(await must(['trash', 'ls', 'acme/app']), /^DIGEST +TAGS +SIZE STORED +SIZE EXCLUSIVE +AT/)
    assert.equal((await trash()).digest, digest)
  })
})
