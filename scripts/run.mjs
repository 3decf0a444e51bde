// run.mjs FILE [ARGUMENTS …]: installs what is missing and runs a TypeScript file of this repository.
import { join } from 'node:path'
import { installIfStale, root, runNode, warmUp } from './node.mjs'

const [file, ...args] = process.argv.slice(2)
if (installIfStale()) await warmUp()
process.exitCode = await runNode([join(root, file), ...args])
