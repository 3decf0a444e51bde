import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { loadConfiguration } from '../../src/config/load.ts'
import { need, tethered } from '../support/programs.ts'

// Where Debian's docker-registry starts we start; but for what would be unsafe, and what it only takes because it never looks.

const folder = await mkdtemp(join(tmpdir(), 'holdfast-peer-'))
after(() => rm(folder, { recursive: true }))

const store = `storage: {filesystem: {rootdirectory: ${join(folder, 'images')}}}`
const addr = 'addr: "127.0.0.1:0"'
const listen = `http: {${addr}}`

interface Case {
  text?: string
  env?: Record<string, string>
  /** Whether docker-registry starts, and whether we do. */
  peer: boolean
  ours: boolean
}
const both = { peer: true, ours: true }
const neither = { peer: false, ours: false }
const mended = { peer: false, ours: true }
const safer = { peer: true, ours: false }

const cases: Case[] = [
  { text: `${store}\n${listen}`, ...both },
  { text: `${listen}\nstorage: inmemory`, ...both },
  { text: `${listen}\nstorage:\n  inmemory:`, ...both },
  { text: `${listen}\n${store}\nauth: none`, ...both },
  { text: `${listen}\n${store}\nlog: {level: Debug, formatter: json, fields: {a: 1, b: yes}}`, ...both },
  { text: `${listen}\n${store}\nlog: {level: trace}`, ...neither },
  { text: `${listen}\n${store}\nlog: {formatter: xml}`, ...neither },
  { text: `${listen}\n${store}\nlog: {level: warn, level: info}`, ...both },
  { text: `${listen}\n${store}\nloglevel: debug`, ...both },
  { text: `${listen}\n${store}\nunknown: {a: [b]}\nlog: {levle: x}`, ...both },
  { text: `${store}\nhttp: {${addr}, prefix: /a/, host: x, relativeurls: yes, draintimeout: 10, secret: 12}`, ...both },
  { text: `${store}\nhttp: {${addr}, headers: {X-A: [b]}}`, ...both },
  { text: `${store}\nhttp: {${addr}, draintimeout: soon}`, ...neither },
  { text: `${store}\nhttp: {${addr}, relativeurls: 1}`, ...neither },
  { text: `${store}\nhttp: {${addr}, relativeurls: "true"}`, ...mended },
  { text: `${store}\nhttp: {addr: nonsense}`, ...neither },
  { text: `${store}\nhttp: {${addr}, tls: {certificate: /nowhere}}`, ...neither },
  { text: `${store}\nhttp: {${addr}, tls: {key: /nowhere}}`, ...safer },
  { text: `${store}\nhttp: {${addr}, tls: {minimumtls: tls1.3}}`, ...both },
  { text: `${listen}\nstorage: {filesystem: {rootdirectory: ${folder}/i}, inmemory: {}}`, ...neither },
  { text: `${listen}\nstorage: {disk: {}}`, ...neither },
  { text: `${listen}\n${store.slice(0, -1)}, delete: {enabled: yes}, redirect: {disable: true}}`, ...both },
  { text: `${listen}\n${store.slice(0, -1)}, cache: {blobdescriptor: inmemory}}`, ...both },
  { text: `${listen}\n${store.slice(0, -1)}, maintenance: {readonly: {enabled: true}}}`, ...both },
  { text: `${listen}\n${store.slice(0, -1)}, maintenance: {readonly: {enabled: "true"}}}`, ...mended },
  { text: `${listen}\n${store.slice(0, -1)}, maintenance: {uploadpurging: {enabled: false}}}`, ...both },
  { text: `${listen}\n${store.slice(0, -1)}, maintenance: {uploadpurging: {enabled: true}}}`, ...mended },
  { text: `${listen}\n${store}\nauth: {htpasswd: {realm: r, path: ${folder}/htpasswd}}`, ...both },
  { text: `${listen}\n${store}\nauth: {htpasswd: {realm: r}}`, ...neither },
  { text: `${listen}\n${store}\nauth: {silly: {realm: r, service: s}}`, ...both },
  { text: `${listen}\n${store}\nauth: {silly: {realm: r, service: s}, htpasswd: {}}`, ...neither },
  { text: `${listen}\n${store}\nauth: {htpaswd: {}}`, ...neither },
  { text: `${listen}\n${store}\nhealth: {file: [{file: /nowhere}], tcp: [{addr: "localhost:1"}]}`, ...both },
  { text: `${listen}\n${store}\nnotifications: {endpoints: [{name: a, url: "http://localhost:1/"}]}`, ...both },
  { text: `${listen}\n${store}\nvalidation: {manifests: {urls: {allow: ["^x"]}}}\ncatalog: {maxentries: 5}`, ...both },
  { text: `${listen}\n${store}\nvalidation: {manifests: {urls: {allow: ["("]}}}`, ...neither },
  { text: `${listen}\n${store}\nproxy: {username: u}`, ...both },
  { text: `${listen}\n${store}\nredis: {addr: "localhost:1"}\nreporting: {bugsnag: {}}\npolicy: {}`, ...both },
  { text: `${listen}\n${store}\nx: [a`, ...neither },
  { env: { REGISTRY_LOG_LEVEL: 'debug', REGISTRY_STORAGE_DELETE_ENABLED: 'true', REGISTRY_WHATEVER: 'x' }, ...both },
  { env: { REGISTRY_STORAGE: 'inmemory' }, ...both },
  { env: { REGISTRY_STORAGE_INMEMORY: '{}' }, ...mended },
  { env: { REGISTRY_HTTP_HEADERS: '{X-A: [b]}', 'REGISTRY_HTTP_HEADERS_X-Foo': '[bar]' }, ...both },
  { env: { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' }, ...mended },
  { env: { REGISTRY_STORAGE_MAINTENANCE: '{readonly: {enabled: true}}' }, ...both },
  { env: { REGISTRY_AUTH_PORT: 'tcp://10.0.0.1:1' }, ...mended },
  { env: { REGISTRY_HTTP_DRAINTIMEOUT: '' }, ...both },
  {
    env: {
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
      REGISTRY_AUTH_HTPASSWD_PATH: `${folder}/htpasswd`,
    },
    ...both,
  },
  { env: { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: `${folder}/htpasswd` }, ...mended },
]

/** Whether docker-registry comes to listen with this file. */
async function peerStarts(file: string, env: Record<string, string>): Promise<boolean> {
  const [command = '', ...args] = [...tethered, 'docker-registry', 'serve', file]
  const child = spawn(command, args, { env: { PATH: process.env.PATH, ...env }, timeout: 10_000 })
  child.stdout.resume()
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let starts = false
  for await (const line of createInterface({ input: child.stderr })) {
    if (!/listening on/.test(line)) continue
    starts = true
    break
  }
  child.kill('SIGKILL')
  await ended
  return starts
}

describe('beside docker-registry', { skip: need('docker-registry') }, () => {
  for (const [index, { text = `${listen}\n${store}`, env = {}, peer, ours }] of cases.entries()) {
    const name =
      Object.keys(env).length > 0
        ? Object.entries(env)
            .map((pair) => pair.join('='))
            .join(' ')
        : text
    it(`${index}: ${name.replaceAll('\n', ' ')}: ${peer ? 'starts' : 'refuses'} there and ${ours ? 'starts' : 'refuses'} here`, async () => {
      const file = join(folder, `${index}.yml`)
      await writeFile(file, `version: 0.1\n${text}\n`)
      const here = await loadConfiguration({ file, env }).then(
        () => true,
        () => false,
      )
      assert.deepEqual({ peer: await peerStarts(file, env), ours: here }, { peer, ours })
    })
  }
})
