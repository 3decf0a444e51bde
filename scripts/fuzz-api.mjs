// fuzz-api.mjs [OPTIONS of test/api/run.ts]: what `npm run fuzz-api` runs.
import { join } from 'node:path'
import { installIfStale, root, runNode } from './node.mjs'
import { installPrograms } from './programs.mjs'

installIfStale()
const env = { PATH: await installPrograms() }
process.exitCode = await runNode([join(root, 'test/api/run.ts'), ...process.argv.slice(2)], env)
