import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { need } from '../support/programs.ts'

const programs = [
  'dockerd',
  'docker',
  'docker-compose',
  'htpasswd',
  'curl',
  'openssl',
  'script',
  'unshare',
  'systemctl',
]

describe('containers', { skip: need(...programs, 'root') }, () => {
  it('run the image as registry:2 is run, by the guides, compose and systemd', { timeout: 600_000 }, async () => {
    const child = spawn('bash', [join(import.meta.dirname, 'run.sh')], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const code = await new Promise((resolve) => child.once('close', resolve))
    if (code !== 0) throw new Error(`run.sh ended with ${String(code)}:\n${output.slice(-8000)}`)
  })
})
