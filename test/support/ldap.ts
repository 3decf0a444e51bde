import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createAuthority } from './certificates.ts'
import { freePort } from './other-registry.ts'
import { need, run, tethered } from './programs.ts'

/** Why tests with an LDAP server cannot run here, as the `skip` of node:test; false when they can. */
export const withoutLdap = need('slapd', 'slapadd', 'ldapmodify', 'openssl')

export const suffix = 'dc=example,dc=com'

/** Debian's slapd with its data in a temporary folder, on a loopback port with StartTLS and one with TLS. */
export async function startLdap(entries: string) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ldap-'))
  const authority = await createAuthority(folder)
  const { certificate, key } = await authority.issue('localhost')
  await mkdir(join(folder, 'data'))
  const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`)
  const config = join(folder, 'slapd.conf')
  const settings = [
    ...schemas,
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    `TLSCACertificateFile ${authority.file}`,
    `TLSCertificateFile ${certificate}`,
    `TLSCertificateKeyFile ${key}`,
    'allow bind_anon_dn', // as careless as a server can be: a name without a password is let in as nobody
    'database mdb',
    'maxsize 10485760',
    `suffix ${suffix}`,
    `directory ${join(folder, 'data')}`,
    `rootdn cn=admin,${suffix}`,
    'rootpw "the root of the tree"',
    'access to attrs=userPassword by anonymous auth by * none',
    `access to * by dn.exact="cn=reader,${suffix}" read by * none`,
  ]
  await writeFile(config, `${settings.join('\n')}\n`)
  const ldif = join(folder, 'entries.ldif')
  await writeFile(ldif, entries)
  await run('slapadd', ['-f', config, '-l', ldif])
  const [port, tlsPort] = [await freePort(), await freePort()]
  const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`
  const [program, ...args] = [...tethered, 'slapd', '-f', config, '-h', urls, '-d', '0']
  const server = spawn(program!, args, { stdio: 'ignore' })
  const exited = once(server, 'exit')
  for (const end = Date.now() + 15_000; !(await answers(port));) {
    if (server.exitCode !== null || Date.now() > end) throw new Error('slapd does not start')
    await setTimeout(50)
  }
  return {
    port,
    tlsPort,
    ca: authority.file,
    /** Carries out changes written as LDIF. */
    change: (changes: string) =>
      run(
        'ldapmodify',
        ['-x', '-H', `ldap://127.0.0.1:${port}`, '-D', `cn=admin,${suffix}`, '-w', 'the root of the tree'],
        {
          input: changes,
        },
      ),
    /** Lets it answer nothing, and go on. */
    /** Resolves when none of its threads answers any more. */
    async pause() {
      server.kill('SIGSTOP')
      const tasks = `/proc/${server.pid}/task`
      const isStopped = async (id: string) => /^State:\s+T/m.test(await readFile(`${tasks}/${id}/status`, 'utf8'))
      while ((await Promise.all((await readdir(tasks)).map(isStopped))).includes(false));
    },
    resume: () => server.kill('SIGCONT'),
    async stop() {
      server.kill('SIGCONT')
      server.kill('SIGTERM')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const isThere = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isThere
}
