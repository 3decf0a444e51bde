import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { eventually } from './app.ts'
import { freePort } from './pebble.ts'
import { tethered } from './programs.ts'

/** nginx before these ports, each request to the next of them; ends after the tests of the file. Gives its URL. */
export async function startNginx(ports: number[]): Promise<string> {
  const { url, stop } = await runNginx(ports)
  after(stop)
  return url
}

/** The same for whoever stops it. */
export async function runNginx(ports: number[]) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-nginx-'))
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(
    file,
    `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; ${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off; client_max_body_size 0; proxy_request_buffering off; proxy_buffering off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  upstream registry { ${ports.map((own) => `server 127.0.0.1:${own} fail_timeout=1s;`).join(' ')} keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://registry; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_next_upstream error timeout http_503 non_idempotent;
    }
  }
}
`,
  )
  const [command, ...args] = [...tethered, 'nginx', '-c', file, '-p', folder]
  const child = spawn(command!, args, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)))
      socket.once('error', () => resolve(false))
    })
  await eventually(answers)
  return {
    url: `http://127.0.0.1:${port}`,
    async stop(): Promise<void> {
      child.kill('SIGTERM')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}
