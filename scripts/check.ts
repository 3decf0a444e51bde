// npm run check: everything about the code that needs no server, one line each; the output only of what fails.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const tool = (name: string) => join(root, 'node_modules', '.bin', name)
const folders = ['src', 'test', 'tools', 'bench', 'scripts']

const steps: [name: string, command: string, args: string[]][] = [
  ['types', tool('tsc'), ['--project', '.']],
  ['lint', tool('oxlint'), ['--deny-warnings', ...folders]],
  ['format', tool('oxfmt'), ['--check', ...folders]],
  ['dead code', tool('knip'), []],
  ['layers', process.execPath, ['--test', 'tools/**/*.test.ts']],
]

// The tools are scripts that start whichever `node` they find: it shall be this one.
const path = [join(process.execPath, '..'), process.env.PATH].join(process.platform === 'win32' ? ';' : ':')

function run([name, command, args]: (typeof steps)[number]): boolean {
  const begun = performance.now()
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  })
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  process.stdout.write(`${status === 0 ? 'ok  ' : 'FAIL'}  ${name} (${seconds} s)\n`)
  if (status !== 0) process.stdout.write(`${error?.message ?? ''}${stdout ?? ''}${stderr ?? ''}\n`)
  return status === 0
}

const results = steps.map(run)
process.exitCode = results.every(Boolean) ? 0 : 1
