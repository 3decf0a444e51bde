import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { need } from '../support/programs.ts'
import { sha256 } from '../support/registry.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('helm', { skip: need('helm') }, () => {
  let sandbox: Sandbox
  let charts: string
  const helm = (...args: string[]) => sandbox.run('helm', args)
  const push = () => helm('push', '--plain-http', 'app-1.2.3+build.1.tgz', charts)
  before(async () => {
    sandbox = await createSandbox()
    charts = `oci://${sandbox.host}/charts`
    await helm('create', 'app')
    await helm('package', 'app', '--version', '1.2.3+build.1')
    await push()
  })
  after(() => sandbox.dispose())

  it('pulls the chart it pushed', async () => {
    await helm('pull', '--plain-http', `${charts}/app`, '--version', '1.2.3+build.1', '-d', sandbox.path('tmp'))
    const [pushed, pulled] = await Promise.all(
      ['app-1.2.3+build.1.tgz', 'tmp/app-1.2.3+build.1.tgz'].map((name) => readFile(sandbox.path(name))),
    )
    assert.equal(sha256(pulled!), sha256(pushed!))
  })

  it('finds the newest version when none is named', async () => {
    assert.match(await helm('show', 'chart', '--plain-http', `${charts}/app`), /^version: 1\.2\.3\+build\.1$/m)
  })

  it('renders a chart straight from the registry', async () => {
    const rendered = await helm('template', 'release', '--plain-http', `${charts}/app`, '--version', '1.2.3+build.1')
    assert.match(rendered, /kind: Deployment/)
  })

  it('uploads nothing when the chart is there', async () => {
    const events = await sandbox.recorded(push)
    assert.equal(count(events, 'blob.pushed'), 0)
  })
})
