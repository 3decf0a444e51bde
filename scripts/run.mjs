// run.mjs FILE [ARGUMENTS …]: installs what is missing and runs a TypeScript file of this repository.
import { join } from 'node:path'
import { installIfStale, root, runNode } from './node.mjs'

const [file, ...args] = process.argv.slice(2)
installIfStale()
process.exitCode = await runNode([join(root, file), ...args])
