// The programs that the tests start: installs those that are missing, if that is possible here.
import { spawn } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

// Each with the Debian packages that have it: the next one is for releases where the one before does not.
const debianPrograms = {
  dockerd: ['docker.io'],
  docker: ['docker.io', 'docker-cli'],
  podman: ['podman'],
  skopeo: ['skopeo'],
  buildah: ['buildah'],
  containerd: ['containerd'],
  ctr: ['containerd'],
  umoci: ['umoci'],
  runc: ['runc'],
  crun: ['crun'],
  strace: ['strace'],
  'mkfs.ext4': ['e2fsprogs'],
  'docker-compose': ['docker-compose'],
  'docker-registry': ['docker-registry'],
  faketime: ['faketime'],
  htpasswd: ['apache2-utils'],
  curl: ['curl'],
  openssl: ['openssl'],
  script: ['bsdutils'],
  systemctl: ['systemd'],
  nginx: ['nginx'],
  initdb: ['postgresql'],
  postgres: ['postgresql'],
  slapd: ['slapd'],
  slapadd: ['slapd'],
  ldapmodify: ['ldap-utils'],
  chromium: ['chromium'],
}

// `ownModule`: modules that `go install` cannot resolve by version alone.
const goPrograms = [
  { name: 'pebble', module: 'github.com/letsencrypt/pebble/v2', package: 'cmd/pebble', version: 'v2.10.1' },
  { name: 'crane', module: 'github.com/google/go-containerregistry', package: 'cmd/crane', version: 'v0.22.1' },
  { name: 'regctl', module: 'github.com/regclient/regclient', package: 'cmd/regctl', version: 'v0.11.7' },
  { name: 'oras', module: 'oras.land/oras', package: 'cmd/oras', version: 'v1.3.3', ownModule: true },
  { name: 'registry', module: 'github.com/distribution/distribution/v3', package: 'cmd/registry', version: 'v3.0.0' },
  {
    name: 'versitygw',
    module: 'github.com/versity/versitygw',
    package: 'cmd/versitygw',
    version: 'v1.8.0',
    minutes: 10,
  },
  { name: 'fake-gcs-server', module: 'github.com/fsouza/fake-gcs-server', package: '.', version: 'v1.56.1' },
  { name: 'helm', module: 'helm.sh/helm/v4', package: 'cmd/helm', version: 'v4.3.1', minutes: 10 },
]

// Programs that npm has, each in a folder of its own: with hundreds of packages none belongs to ours.
// One without a name is a library that a test loads from there.
const npmPrograms = [
  { name: 'azurite-blob', module: 'azurite', version: '3.36.0' },
  { module: 'oidc-provider', version: '9.13.3' },
]

// Programs that PyPI has, each in an environment of its own.
const pythonPrograms = [{ name: 'st', module: 'schemathesis', version: '4.32.5' }]

/** Installs what is missing and can be installed; gives the PATH under which all of it is found. */
export async function installPrograms() {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast')
  const folderOf = ({ name, version }) => join(cache, `${name}-${version}`)
  // Without a login shell root's PATH lacks the sbin folders, where Debian puts daemons.
  const versionFolderOf = ({ module, version }) => folderOf({ name: module, version })
  const binOf = (program) => join(versionFolderOf(program), 'node_modules/.bin')
  const pythonBinOf = (program) => join(versionFolderOf(program), 'bin')
  const built = [...goPrograms.map(folderOf), ...npmPrograms.map(binOf), ...pythonPrograms.map(pythonBinOf)]
  const folders = [process.env.PATH, '/usr/sbin', '/sbin', ...built]
  await installDebianPrograms(() => [...folders, ...postgresFolders()].join(delimiter))
  const path = [...folders, ...postgresFolders()].join(delimiter)
  for (const program of goPrograms) {
    if (isIn(path, program.name)) continue
    if (isIn(path, 'go')) await buildGoProgram(program, folderOf(program))
    else say(`without ${program.name}: there is no Go to build it with; its tests are skipped`)
  }
  for (const program of npmPrograms)
    if (program.name ? !isIn(path, program.name) : !existsSync(versionFolderOf(program)))
      await installNpmProgram(program, versionFolderOf(program))
  for (const program of pythonPrograms) {
    if (isIn(path, program.name)) continue
    if (isIn(path, 'python3')) await installPythonProgram(program, versionFolderOf(program))
    else say(`without ${program.name}: there is no Python to run it with; its tests are skipped`)
  }
  return path
}

async function installNpmProgram({ name, module, version }, target) {
  say(`installing ${module} ${version} (once) …`)
  const started = `${target}.new`
  mkdirSync(started, { recursive: true })
  writeFileSync(join(started, 'package.json'), '{"private":true}')
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${module}@${version}`]
  const problem = await run('npm', args, { cwd: started, minutes: 5 })
  if (!problem && existsSync(join(started, 'node_modules', name ? `.bin/${name}` : module)))
    return renameSync(started, target)
  rmSync(started, { recursive: true, force: true })
  say(`cannot install ${module} ${version}: ${problem}; its tests are skipped`)
}

/** Programs name the folder of their environment: it is made where it stays, and taken away where that fails. */
async function installPythonProgram({ name, module, version }, target) {
  say(`installing ${module} ${version} (once) …`)
  const pip = [join(target, 'bin/python'), '-m', 'pip', '--disable-pip-version-check']
  const problem =
    (await run('python3', ['-m', 'venv', target], { minutes: 2 })) ||
    (await run(pip[0], [...pip.slice(1), 'install', '--quiet', `${module}==${version}`], { minutes: 5 }))
  if (!problem && isIn(join(target, 'bin'), name)) return
  rmSync(target, { recursive: true, force: true })
  say(`cannot install ${module} ${version}: ${problem}; its tests are skipped`)
}

/** Where Debian puts the servers of PostgreSQL, the newest first. */
function postgresFolders() {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : []
  return versions.toSorted((a, b) => b - a).map((version) => `/usr/lib/postgresql/${version}/bin`)
}

async function installDebianPrograms(path) {
  const missing = () => Object.keys(debianPrograms).filter((program) => !isIn(path(), program))
  if (missing().length === 0) return
  const left = () => say(`without ${missing().join(', ')}: their tests are skipped`)
  if (process.getuid?.() !== 0 || !isIn(path(), 'apt-get')) {
    say('programs are installed only as root and with apt-get')
    return left()
  }
  say(`installing ${missing().join(', ')} (once) …`)
  const apt = (...args) =>
    run('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=60', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      minutes: 10,
    })
  const install = (packages) => apt('install', '--yes', '--no-install-recommends', ...packages)
  await apt('update')
  for (const choice of [0, 1]) {
    const packages = [...new Set(missing().flatMap((program) => debianPrograms[program][choice] ?? []))]
    if (packages.length === 0 || !(await install(packages))) continue
    // One package that this release lacks keeps apt-get from installing any.
    for (const name of packages) {
      const problem = await install([name])
      if (problem) say(`cannot install ${name}: ${problem}`)
    }
  }
  if (missing().length > 0) left()
}

async function buildGoProgram({ name, module, version, package: folder, ownModule, minutes = 5 }, target) {
  say(`building ${name} ${version} (once, some minutes) …`)
  const started = `${target}.new`
  const workspace = mkdtempSync(join(tmpdir(), 'holdfast-go-'))
  mkdirSync(started, { recursive: true })
  const go = (...args) =>
    run('go', args, { cwd: workspace, env: { ...process.env, CGO_ENABLED: '0', GOBIN: started }, minutes })
  const problem = ownModule
    ? (await go('mod', 'init', 'holdfast.test/clients')) ||
      (await go('mod', 'edit', `-require=${module}@${version}`)) ||
      (await go('build', '-mod=mod', '-o', join(started, name), `${module}/${folder}`))
    : await go('install', `${join(module, folder)}@${version}`)
  rmSync(workspace, { recursive: true, force: true })
  if (!problem && existsSync(join(started, name))) return renameSync(started, target)
  rmSync(started, { recursive: true, force: true })
  say(`cannot build ${name} ${version}: ${problem}; its tests are skipped`)
}

/** Runs a program quietly; gives the last line it wrote if it fails or takes longer than so many minutes, else ''. */
function run(command, args, { minutes, ...options }) {
  return new Promise((resolve) => {
    const stdio = ['ignore', 'ignore', 'pipe']
    const child = spawn(command, args, { ...options, stdio, timeout: minutes * 60_000, killSignal: 'SIGINT' })
    let errors = ''
    child.stderr.on('data', (chunk) => (errors += chunk))
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => {
      if (code === 0) return resolve('')
      resolve(
        signal ? `not done after ${minutes} minutes` : errors.trim().split('\n').at(-1) || `it ended with ${code}`,
      )
    })
  })
}

function isIn(path, program) {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false // not there, or not ours to run
    }
  })
}

function say(line) {
  process.stderr.write(`holdfast: ${line}\n`)
}
