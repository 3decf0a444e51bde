import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'

const filesystem = join(import.meta.dirname, '../../src/storage/filesystem.ts')

/** Puts its own letter, again and again, and looks whether that is what lies there. */
const script = (root: string, letter: string) => `
  const { createFilesystem } = await import(${JSON.stringify(filesystem)})
  const storage = createFilesystem(${JSON.stringify(root)})
  const content = Buffer.from(${JSON.stringify(letter)}.repeat(100))
  for (const end = Date.now() + 1000; Date.now() < end; ) {
    await storage.put('small/${letter}', content, new Date())
    if (!(await storage.get('small/${letter}')).equals(content)) throw new Error('these are the bytes of another process')
  }`

it('small files of two processes in one folder are each what their process wrote', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-two-'))
  const codes = await Promise.all(
    ['a', 'b'].map(async (letter) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script(root, letter)], { stdio: 'ignore' })
      const [code] = await once(child, 'exit')
      return code
    }),
  )
  await rm(root, { recursive: true })
  assert.deepEqual(codes, [0, 0])
})
