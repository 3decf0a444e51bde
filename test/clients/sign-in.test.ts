import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { simpleLayout } from '../support/oci-layout.ts'
import { need, run } from '../support/programs.ts'
import { type RunningRegistry, startRegistry } from '../support/registry.ts'

/** Programs that keep their credentials in a file, each with its own idea of login. (docker signs in in test/e2e.) */
describe('with an htpasswd file', { skip: need('htpasswd', 'podman', 'skopeo', 'crane') }, () => {
  let folder: string
  let registry: RunningRegistry
  let image: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-sign-in-'))
    await run('htpasswd', ['-Bbc', '-C', '5', join(folder, 'htpasswd'), 'ann', 'a secret:word'])
    registry = await startRegistry({
      data: join(folder, 'data'),
      env: { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: join(folder, 'htpasswd') },
    })
    await simpleLayout(join(folder, 'layout'))
    image = `${registry.host}/team/app:v1`
  })
  after(async () => {
    await registry.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  for (const program of ['podman', 'skopeo']) {
    it(`${program} signs in, uses what it keeps, and signs out`, async () => {
      const authfile = join(folder, `${program}.json`)
      const env = { ...process.env, REGISTRY_AUTH_FILE: authfile }
      const login = (password: string) =>
        run(program, ['login', '--tls-verify=false', '--username', 'ann', '--password-stdin', registry.host], {
          env,
          input: password,
        })
      const push = () =>
        run('skopeo', ['copy', '--dest-tls-verify=false', `oci:${folder}/layout:v1`, `docker://${image}`], { env })
      await assert.rejects(push, /authentication required|unauthorized/)
      await assert.rejects(login('wrong'), /invalid username\/password|authentication required|unauthorized/)
      assert.match(await login('a secret:word'), /Login Succeeded/)
      const kept = JSON.parse(await readFile(authfile, 'utf8')) as { auths: Record<string, { auth: string }> }
      assert.equal(Buffer.from(kept.auths[registry.host]!.auth, 'base64').toString(), 'ann:a secret:word')
      await push()
      await run('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`], { env })
      await run(program, ['logout', registry.host], { env })
      await assert.rejects(push, /authentication required|unauthorized/)
    })
  }

  it("crane uses docker's file", async () => {
    const env = { ...process.env, DOCKER_CONFIG: join(folder, 'docker') }
    const crane = (...args: string[]) => run('crane', [...args, '--insecure'], { env })
    await assert.rejects(crane('digest', image), /authentication required|UNAUTHORIZED/)
    await run('crane', ['auth', 'login', '-u', 'ann', '--password-stdin', registry.host], {
      env,
      input: 'a secret:word',
    })
    assert.match(await crane('digest', image), /^sha256:/)
    await run('crane', ['auth', 'logout', registry.host], { env })
    await assert.rejects(crane('digest', image), /authentication required|UNAUTHORIZED/)
  })
})
