import { describe, it } from 'node:test'
import { useRegistry } from '../support/client.ts'
import { readCorpus } from './corpus.ts'
import { pushSeed, send } from './runner.ts'

const registry = await useRegistry()
const seed = await pushSeed(registry)

const groups = Map.groupBy(readCorpus(), (request) => request.group)
groups.delete('slow') // slow.test.ts
for (const [group, requests] of groups) {
  describe(`hostile requests: ${group}`, () => {
    for (const request of requests) it(`answers ${request.id}: ${request.why}`, () => send(registry, seed, request))
  })
}
