import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tooLarge, unreadable } from '../size-facts.ts'
import { pushOf, type Tools } from './tools.ts'

/** Registers the tests of sizes: of what is stored, and of what layers take unpacked. */
export function testSizes({ store, push, commitBlob, passSeconds, now }: Tools): void {
  const later = () => now().getTime() + 1000

  describe('sizes', () => {
    it('of a repository are those of its blobs and manifests, each once', async () => {
      await commitBlob('sizes/a', 'a'.repeat(700))
      await push(pushOf('sizes/a', 'a manifest of 25 bytes.. '))
      assert.equal(await store().sizes.stored('sizes/a'), 725)
      assert.equal(await store().sizes.stored('sizes/none'), 0)
    })

    it('unpacked are noted for blobs, and images are looked into in their order, those asked for first', async () => {
      const { unmeasured, unpacked } = store().sizes
      for (let after = 0; ;) {
        const one = await unmeasured.next({ pushedBefore: later(), after })
        if (!one) break
        await unmeasured.end(one.id, { platform: '' })
        after = one.id
      }
      const blobs = [await commitBlob('sizes/a', 'first'), await commitBlob('sizes/a', 'second')]
      assert.deepEqual(await unpacked('sizes/a', blobs), new Map())
      const [first, second] = [await push(pushOf('sizes/a', '1')), await push(pushOf('sizes/a', '2'))]
      assert.equal(await unmeasured.next('asked'), undefined)
      assert.equal(await unmeasured.next({ pushedBefore: now().getTime() - 1, after: 0 }), undefined)
      passSeconds(5)
      const found = await unmeasured.next({ pushedBefore: later(), after: 0 })
      assert.deepEqual(found, { id: found?.id, repository: 'sizes/a', digest: first, content: Buffer.from('1') })
      await unmeasured.ask('sizes/a', second)
      assert.equal((await unmeasured.next('asked'))?.digest, second)
      await unmeasured.end((await unmeasured.next('asked'))!.id, undefined)
      assert.equal(await unmeasured.next('asked'), undefined)
      await unmeasured.note(blobs[0]!, 5_000_000_000)
      await unmeasured.note(blobs[1]!, tooLarge)
      assert.deepEqual(
        await unpacked('sizes/a', blobs),
        new Map([
          [blobs[0], 5_000_000_000],
          [blobs[1], tooLarge],
        ]),
      )
      assert.deepEqual(await unpacked('sizes/other', blobs), new Map(), 'of the repository alone')
      await unmeasured.note(blobs[1]!, unreadable)
      for (const after of [0, found!.id])
        await unmeasured.end((await unmeasured.next({ pushedBefore: later(), after }))!.id, { platform: 'linux/arm' })
      assert.equal(await unmeasured.next({ pushedBefore: later(), after: 0 }), undefined)
    })
  })
}
