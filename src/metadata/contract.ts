import { after, before, describe } from 'node:test'
import { testAccounts } from './contract/accounts.ts'
import { testCollection } from './contract/collection.ts'
import { contractTools, type Created, type Tools } from './contract/tools.ts'
import { testBlobsAndUploads } from './contract/blobs.ts'
import { testEventsAndJobs } from './contract/events.ts'
import { testHistory } from './contract/history.ts'
import { testManifests } from './contract/manifests.ts'
import { testRules } from './contract/rules.ts'
import { testTallies } from './contract/tallies.ts'
import { testSizes } from './contract/sizes.ts'
import { testUploadStates } from './contract/upload-states.ts'
import { testVault } from './contract/vault.ts'
import { testVolume } from './contract/volume.ts'

/**
 * What every metadata store must do, whatever it keeps the facts in. `create` gives an empty store whose clock is the given
 * one; `reopen` closes it and opens the same data again.
 */
export function testMetadataStore(name: string, create: (clock: { now(): Date }) => Promise<Created>): void {
  describe(`${name} as a metadata store`, () => {
    let created: Created
    const time = { ms: Date.UTC(2030, 0, 1) }
    before(async () => {
      created = await create({ now: () => new Date(time.ms) })
    })
    after(() => created.dispose())

    const tools: Tools = contractTools({
      store: () => created.store,
      reopen: async () => {
        created.store = await created.reopen()
      },
      passSeconds: (seconds) => void (time.ms += seconds * 1000),
      now: () => new Date(time.ms),
    })
    testBlobsAndUploads(tools)
    testManifests(tools)
    testHistory(tools)
    testCollection(tools)
    testEventsAndJobs(tools)
    testVolume(tools)
    testUploadStates(tools)
    testAccounts(tools)
    testVault(tools)
    testTallies(tools)
    testRules(tools)
    testSizes(tools)
  })
}
