// test.mjs [FILE …]: what `npm test` runs. Installs what the tests need where it may, then checks and tests everything,
// or only tests the files that are named.
import { join } from 'node:path'
import { installIfStale, root, runNode } from './node.mjs'
import { installPrograms } from './programs.mjs'

const files = process.argv.slice(2)
installIfStale()
const everything = files.length === 0
// Only tests below test/ start other programs.
const needsPrograms =
  everything || files.some((file) => /^(\.\/)?test\//.test(file) || file.startsWith(join(root, 'test')))
const env = needsPrograms ? { PATH: await installPrograms() } : {}
const checked = everything ? await runNode([join(root, 'scripts/check.ts')], env) : 0
const tested = await runNode([join(root, 'scripts/run-tests.ts'), ...files], env)
process.exitCode = checked || tested
