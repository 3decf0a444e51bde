import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const files = [
  ...['blobs', 'lists', 'manifests', 'mounts', 'referrers', 'resume', 'tags', 'uploads'].map(
    (name) => `conformance/${name}`,
  ),
  ...['hostile/corpus', 'clients/docker', 'durability/limits', 'durability/crashes'],
]

/** What one process passes, once more with three. */
describe('three processes', () => {
  for (const file of files)
    it(`pass ${file}`, async () => {
      const env: NodeJS.ProcessEnv = { ...process.env, HOLDFAST_PROCESSES: '3' }
      delete env.NODE_TEST_CONTEXT // else it would report to the parent
      const path = join(import.meta.dirname, '..', `${file}.test.ts`)
      const child = spawn(process.execPath, ['--test', '--test-force-exit', path], { env })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
      const [code] = await once(child, 'close')
      assert.equal(code, 0, output.slice(-3000))
    })
})
