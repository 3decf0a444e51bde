import { describe, it } from 'node:test'
import { useRegistry } from '../support/client.ts'
import { readCorpus } from './corpus.ts'
import { pushSeed, send } from './runner.ts'

const registry = await useRegistry()
const seed = await pushSeed(registry)

// Each waits for the server to lose its patience, so all of them wait at once.
describe('slow clients', { concurrency: true }, () => {
  for (const request of readCorpus().filter(({ group }) => group === 'slow'))
    it(`answers ${request.id}: ${request.why}`, () => send(registry, seed, request))
})
