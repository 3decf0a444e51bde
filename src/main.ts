const usage = `Usage: holdfast COMMAND

  serve [CONFIG]        start the registry
  config COMMAND        check, show or explain the configuration
  fsck [CONFIG]         check a volume nobody serves, and mend it with --repair
  reindex [CONFIG]      make the database of a volume anew from its files
  backup DEST [CONFIG]  back up a registry that may be running, to a folder or a bucket; also
                        backup ls, verify and restore
  db COMMAND            back up the database, restore it, or move it to another one
  keys COMMAND          change the keys that others are wrapped by; tell the public ones
  garbage-collect CONFIG
                        delete what nothing refers to, of a registry that does not run
  admin user COMMAND    make and change users in the database itself
  admin gc              have a registry collect garbage now, or tell what would go
  admin scrub [REPO]    have a registry read its blobs again now
  healthcheck [CONFIG]  ask the registry on this machine whether it is ready

  setup HOST CODE       make the first administrator of a registry
  login HOST            sign in to a registry, and docker with it
  logout HOST           sign out
  whoami                who you are there
  get-login-password    a password for docker, good for twelve hours
  token COMMAND         access tokens, yours or a robot's
  session COMMAND       browsers in which you are signed in
  org, member, team     organizations and who belongs to them
  robot COMMAND         robots of an organization
  repo COMMAND          repositories: who sees them, who may do what
  tag COMMAND           where tags pointed, and back there; locks, and when they go
  policy COMMAND        rules for tags: which stay as they are, which go after a while
  retention COMMAND     what those rules would let go, and letting it go
  rm REPO:TAG           move an image to the trash
  restore REPO@DIGEST   take it out again
  trash ls REPO         what can be restored
  quota VERB            limit what organizations and repositories store
  audit COMMAND         who did what
  explain ID            why a request was refused
  api METHOD PATH       ask the management API itself

  --version             print the version
`

/** The commands, loaded when they are asked for: `serve` shall not pay for the others. */
const commands: Record<string, () => Promise<{ run(args: string[]): Promise<void> }>> = {
  serve: () => import('./commands/serve.ts'),
  process: () => import('./commands/process.ts'), // one of several of `serve`, not for people
  config: () => import('./commands/config.ts'),
  fsck: () => import('./commands/fsck.ts'),
  reindex: () => import('./commands/reindex.ts'),
  backup: () => import('./commands/backup.ts'),
  db: () => import('./commands/db.ts'),
  keys: () => import('./commands/keys.ts'),
  admin: () => import('./commands/admin.ts'),
  healthcheck: () => import('./commands/healthcheck.ts'),
  setup: () => import('./commands/setup.ts'),
  login: () => import('./commands/login.ts'),
  logout: () => import('./commands/logout.ts'),
  credential: () => import('./commands/credential.ts'), // bin/docker-credential-holdfast
  'get-login-password': () => import('./commands/get-login-password.ts'),
  whoami: () => import('./commands/whoami.ts'),
  token: () => import('./commands/token.ts'),
  session: () => import('./commands/session.ts'),
  org: () => import('./commands/org.ts'),
  member: () => import('./commands/member.ts'),
  team: () => import('./commands/team.ts'),
  robot: () => import('./commands/robot.ts'),
  repo: () => import('./commands/repo.ts'),
  audit: () => import('./commands/audit.ts'),
  tag: () => import('./commands/tag.ts'),
  policy: () => import('./commands/policy.ts'),
  retention: () => import('./commands/retention.ts'),
  rm: () => import('./commands/rm.ts'),
  restore: () => import('./commands/restore.ts'),
  quota: () => import('./commands/quota.ts'),
  trash: () => import('./commands/trash.ts'),
  'garbage-collect': () => import('./commands/garbage-collect.ts'),
  explain: () => import('./commands/explain.ts'),
  api: () => import('./commands/api.ts'),
}

async function main([name = '', ...args]: string[]): Promise<void> {
  if (name === '--help' || name === '-h' || name === 'help') return void process.stdout.write(usage)
  if (name === '--version') return printVersion()
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!load) throw Object.assign(new Error(`unknown command "${name}"\n\n${usage}`), { exitCode: 2 })
  await (await load()).run(args)
}

async function printVersion(): Promise<void> {
  const { default: about } = await import('../package.json', { with: { type: 'json' } })
  process.stdout.write(`holdfast ${about.version} (Node ${process.version})\n`)
}

// Whoever read our output may go; the registry stays.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

main(process.argv.slice(2)).catch(async (error: unknown) => {
  const { messageOf } = await import('./commands/message.ts')
  process.stderr.write(`holdfast: ${messageOf(error)}\n`)
  process.exit(exitCodeOf(error))
})

/** What a command says; 2 for options it does not have, 1 for any other failure. */
function exitCodeOf(error: unknown): number {
  if (!(error instanceof Error)) return 1
  if ('exitCode' in error) return Number(error.exitCode)
  return 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS') ? 2 : 1
}
