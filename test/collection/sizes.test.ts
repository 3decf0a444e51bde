import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { useAccounts } from '../support/accounts.ts'

const { must, push, root, api, addUser, user } = await useAccounts()

interface Sizes {
  digest: string
  sizeDownload: number
  sizeStored: number
  sizeExclusive: number
  sizeUnpacked: null
}

describe('sizes', () => {
  it('are told of an image, a repository, an organization and of all', async () => {
    await push('acme/app', root)
    const alone = (await must('GET /repos/acme/app/-/images/v1')) as unknown as Sizes
    assert.ok(alone.sizeDownload > 0)
    assert.deepEqual(alone, {
      ...alone,
      sizeStored: alone.sizeDownload,
      sizeExclusive: alone.sizeDownload,
      sizeUnpacked: null,
    })
    assert.deepEqual(await must(`GET /repos/acme/app/-/images/${alone.digest}`), alone)
    await push('acme/other', root)
    const shared = (await must('GET /repos/acme/app/-/images/v1')) as unknown as Sizes
    assert.equal(shared.sizeStored, alone.sizeStored)
    assert.ok(shared.sizeExclusive <= alone.sizeExclusive)
    const { sizeStored } = await must('GET /repos/acme/app/-/usage')
    assert.equal(sizeStored, alone.sizeStored)
    const all = await must('GET /usage')
    const inAcme = await must('GET /usage?within=acme/app')
    assert.deepEqual(
      (all.organizations as { name: string }[]).map(({ name }) => name),
      ['acme'],
    )
    assert.equal((inAcme.repositories as unknown[]).length, 1)
    assert.equal((all.repositories as unknown[]).length, 2)
  })

  it('are told to those who may pull, and of all to administrators', async () => {
    await addUser('bob')
    assert.equal((await api('GET /usage', { as: user('bob') })).status, 403)
    assert.equal((await api('GET /repos/acme/app/-/images/none')).status, 404)
    assert.equal((await api('GET /repos/acme/app/-/images/v1', { as: user('bob') })).status, 404)
  })
})
