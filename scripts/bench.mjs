// bench.mjs [ARGUMENTS …]: what `npm run bench` runs, with the programs of the tests in its PATH.
import { join } from 'node:path'
import { installIfStale, root, runNode, warmUp } from './node.mjs'
import { installPrograms } from './programs.mjs'

if (installIfStale()) await warmUp()
process.exitCode = await runNode([join(root, 'bench/run.ts'), ...process.argv.slice(2)], {
  PATH: await installPrograms(),
})
