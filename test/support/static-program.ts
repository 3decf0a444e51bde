import { find } from './programs.ts'
import type { Sandbox } from './sandbox.ts'

/** Builds a program that prints `text` and needs nothing around it; gives the reason where there is no compiler to do so. */
export async function staticProgram(sandbox: Sandbox, name: string, text: string): Promise<string | undefined> {
  if (find('gcc')) {
    const source = await sandbox.write('hello.c', `#include <stdio.h>\nint main(void) { puts("${text}"); }\n`)
    await sandbox.run('gcc', ['-static', '-o', sandbox.path(name), source])
    return undefined
  }
  if (!find('go')) return 'no gcc and no go to build a static program with'
  const source = await sandbox.write('hello.go', `package main\n\nfunc main() { print("${text}") }\n`)
  const env = { ...sandbox.env, CGO_ENABLED: '0' }
  await sandbox.run('go', ['build', '-o', sandbox.path(name), source], { env, timeout: 120_000 })
  return undefined
}
