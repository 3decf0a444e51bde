import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { simpleLayout } from '../support/oci-layout.ts'
import { type OtherProgram, type OtherRegistry, startOther } from '../support/other-registry.ts'
import { need, run } from '../support/programs.ts'
import { ann, basic, bearer, claimsOf, headerOf, jsonOf, useTokenApp } from './tools.ts'

const programs: OtherProgram[] = ['docker-registry', 'registry']
const app = await useTokenApp((configuration) => (configuration.tokens!.services = programs))
const bundle = join(app.folder, 'bundle.pem')
await writeFile(bundle, (await app.get('/token/certificates')).body)
await simpleLayout(join(app.folder, 'layout'))

for (const program of programs) {
  describe(`${program} with our tokens`, { skip: need(program, 'skopeo', 'crane') }, () => {
    let other: OtherRegistry
    let host: string
    const layout = `oci:${app.folder}/layout:v1`
    before(async () => {
      // By name: crane goes to no other address of this machine.
      const realm = `http://localhost:${app.port}/token`
      const auth = `auth: {token: {realm: "${realm}", service: ${program}, issuer: holdfast, rootcertbundle: ${bundle}}}`
      other = await startOther(program, join(app.folder, program), auth)
      host = other.url.slice('http://'.length)
    })
    after(() => other.stop())
    const tokenFor = async (scope: string, service: string, authorization = ann) =>
      jsonOf<{ token: string }>(await app.get(`/token?service=${service}&scope=${scope}`, authorization)).token
    const ask = (path: string, token: string) =>
      fetch(`${other.url}${path}`, { headers: { authorization: bearer(token) } }).then(({ status }) => status)

    it('takes a token issued for it, and no other', async () => {
      const token = await tokenFor('repository:team/none:pull', program)
      assert.deepEqual([claimsOf(token).aud, (headerOf(token).x5c as string[]).length], [program, 1])
      assert.equal(await ask('/v2/team/none/tags/list', token), 404)
      assert.equal(await ask('/v2/team/other/tags/list', token), 401)
      assert.equal(await ask('/v2/', await tokenFor('repository:team/none:pull', 'holdfast')), 401)
      const ours = await app.get('/v2/', bearer(token))
      assert.equal(ours.status, 401, 'what is for others is not for us')
    })

    it('is pushed to and pulled from by skopeo', async () => {
      const copy = (...args: string[]) => run('skopeo', ['copy', ...args])
      const target = `docker://${host}/team/app:v1`
      const to = ['--dest-tls-verify=false', '--dest-creds']
      await assert.rejects(
        copy(...to, 'ann:wrong', layout, target),
        /authentication required|unauthorized|wrong user name/,
      )
      await copy(...to, 'ann:secret', layout, target)
      const from = ['--src-tls-verify=false', '--src-creds', 'bob:word']
      await copy(...from, target, `oci:${app.folder}/${program}-back:v1`)
    })

    it('is read by crane', async () => {
      const env = { ...process.env, DOCKER_CONFIG: join(app.folder, `docker-${program}`) }
      const login = (password: string) =>
        run('crane', ['auth', 'login', '-u', 'ann', '--password-stdin', host], { env, input: password })
      await login('secret')
      assert.match(await run('crane', ['digest', '--insecure', `${host}/team/app:v1`], { env }), /^sha256:/)
      await run('crane', ['copy', '--insecure', `${host}/team/app:v1`, `${host}/team/copy:v1`], { env })
      await login('wrong')
      await assert.rejects(run('crane', ['digest', '--insecure', `${host}/team/app:v1`], { env }), /UNAUTHORIZED|401/)
      assert.equal((await app.get('/token', basic('ann', 'wrong'))).status, 401)
    })
  })
}
