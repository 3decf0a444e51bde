import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, it } from 'node:test'

const root = join(import.meta.dirname, '..')

/** What the files below a path may import besides their own neighbours; the longest path that fits a file decides. */
const allowed: Record<string, string[]> = {
  'src/oci/': [],
  'src/auth/': ['src/oci/'],
  'src/http/': ['src/oci/', 'src/auth/'],
  'src/registry/': ['src/oci/', 'src/http/', 'src/auth/'],
  'src/keyring/': ['src/auth/', 'src/platform/log.ts'],
  'src/storage/': [
    'src/oci/',
    'src/keyring/',
    'src/http/types.ts',
    'src/registry/ports/',
    'src/metadata/upload-states.ts',
    'src/platform/http.ts',
  ],
  'src/identity/': ['src/oci/', 'src/auth/types.ts'],
  'src/rules/': ['src/oci/', 'src/identity/pattern.ts'],
  'src/api/': ['src/oci/', 'src/auth/', 'src/http/'],
  'src/metadata/': [
    'src/oci/',
    'src/auth/',
    'src/http/types.ts',
    'src/registry/ports/',
    'src/rules/',
    'src/platform/pauses.ts',
  ],
  'src/platform/': ['src/oci/', 'src/registry/ports/'],
  'src/config/': ['src/platform/', 'src/rules/'],
  'src/listen/': ['src/platform/', 'src/config/'],
  'src/features/': [
    'src/oci/',
    'src/auth/',
    'src/http/',
    'src/identity/',
    'src/rules/',
    'src/api/',
    'src/keyring/signing-keys.ts',
    'src/registry/',
    'src/metadata/account-facts.ts',
    'src/metadata/audit-hash.ts',
    'src/metadata/collection-facts.ts',
    'src/metadata/history-facts.ts',
    'src/metadata/rule-facts.ts',
    'src/metadata/quota-facts.ts',
    'src/metadata/size-facts.ts',
    'src/volume/document.ts',
    'src/volume/mend.ts',
    'src/collection/',
    'src/platform/',
    'src/config/',
  ],
  'src/volume/': [
    'src/oci/',
    'src/registry/',
    'src/metadata/volume-facts.ts',
    'src/metadata/row-facts.ts',
    'src/platform/',
  ],
  'src/collection/': [
    'src/oci/',
    'src/registry/',
    'src/metadata/collection-facts.ts',
    'src/platform/',
    'src/config/',
    'src/volume/document.ts',
    'src/volume/layout.ts',
  ],
  'src/processes/': [
    'src/oci/',
    'src/registry/ports/',
    'src/metadata/sql/commands.ts',
    'src/metadata/tally-facts.ts',
    'src/platform/',
    'src/config/',
    'src/listen/bind.ts',
    'src/volume/gate.ts',
  ],
  'src/backup/': [
    'src/oci/',
    'src/auth/vault.ts',
    'src/registry/',
    'src/storage/',
    'src/metadata/',
    'src/platform/',
    'src/config/',
    'src/stores.ts',
  ],
  'src/stores.ts': [
    'src/auth/vault.ts',
    'src/keyring/',
    'src/registry/',
    'src/storage/',
    'src/metadata/',
    'src/config/',
    'src/volume/',
  ],
  'src/app.ts': [
    'src/oci/',
    'src/auth/',
    'src/http/',
    'src/api/',
    'src/registry/',
    'src/storage/',
    'src/metadata/',
    'src/platform/',
    'src/config/',
    'src/listen/',
    'src/volume/',
    'src/features/index.ts',
    'src/processes/',
    'src/stores.ts',
    'src/backup/repair-source.ts',
  ],
  'src/commands/': [
    'src/backup/',
    'src/processes/',
    'src/app.ts',
    'src/stores.ts',
    'src/auth/vault.ts',
    'src/keyring/',
    'src/collection/',
    'src/storage/rescuing.ts',
    'src/config/',
    'src/identity/',
    'src/listen/',
    'src/metadata/account-facts.ts',
    'src/metadata/accounts-alone.ts',
    'src/metadata/copy/',
    'src/metadata/sqlite/damaged.ts',
    'src/platform/',
    'src/volume/',
  ],
  'src/main.ts': ['src/commands/'],
  'test/': ['src/'],
  'bench/': ['src/', 'test/support/'],
  'tools/': ['src/'],
  'scripts/': [],
}
/** The protocol heart, and how large it may be. */
const heart = ['src/oci/', 'src/http/', 'src/registry/']
const maxHeartLines = 1500
const maxFileLines = 400

const isTest = (file: string) => file.endsWith('.test.ts')
const isIn = (path: string) => (file: string) => file.startsWith(path)

/** Why `file` may not import `target`; undefined when it may. */
function objection(file: string, target: string): string | undefined {
  if (target === 'src/main.ts') return 'main.ts is the program'
  if (isTest(file)) return undefined // a test puts together what it needs
  const feature = /^src\/features\/[^/]+\//.exec(target)?.[0]
  if (feature) {
    const isOwn = file.startsWith(feature) || file === 'src/features/index.ts'
    return isOwn ? undefined : 'only features/index.ts knows the features'
  }
  const ring = Object.keys(allowed)
    .filter((path) => file.startsWith(path))
    .toSorted((a, b) => b.length - a.length)[0]
  if (!ring) return 'the file is in no ring of tools/layers.test.ts'
  if (target.startsWith(ring) || allowed[ring]!.some((path) => target.startsWith(path))) return undefined
  return `${ring} may import ${[ring, ...allowed[ring]!].join(', ')}`
}

function sourceFiles(): string[] {
  return ['src', 'test', 'bench', 'tools', 'scripts']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
    )
    .filter((file) => file.endsWith('.ts'))
}

const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** What a file imports: paths from the root for our own files, names for packages. */
function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:\bfrom |\bimport |\bimport\(|\bimport\.meta\.resolve\()'([^'\n]+)'/g)
  return [...found].map(([, name = '']) =>
    name.startsWith('.') ? relative(root, join(root, dirname(file), name)) : name,
  )
}

function codeLines(text: string): number {
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !/^(\/\/|\/\*|\*)/.test(line)).length
}

describe('the layers', () => {
  const files = sourceFiles()

  it('import only inwards', () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => /^(src|test|bench|tools|scripts)\//.test(target))
        .flatMap((target) => {
          const reason = objection(file, target)
          return reason ? [`${file} imports ${target}: ${reason}`] : []
        }),
    )
    assert.deepEqual(wrong, [])
  })

  it('keep every package in one file of the program, and none in the heart', () => {
    const users = new Map<string, string[]>()
    for (const file of files.filter((file) => file.startsWith('src/') && !isTest(file)))
      for (const name of importsOf(file).filter((target) => !/^(src\/|node:)/.test(target)))
        users.set(name, [...(users.get(name) ?? []), file])
    for (const [name, importers] of users) {
      assert.equal(importers.length, 1, `${name} is imported by ${importers.join(', ')}`)
      assert.ok(!heart.some((path) => importers[0]!.startsWith(path)), `${importers[0]} imports ${name}`)
    }
  })

  it('take of node:http only types: src/platform/http.ts tells why', () => {
    const program = files.filter((file) => file.startsWith('src/') && !isTest(file))
    const wrong = program.filter((file) => /^import (?!type ).*'node:http'|import\('node:http'/m.test(read(file)))
    assert.deepEqual(wrong, [])
  })

  it('keep the heart below 1,500 lines of code', () => {
    const sizes = files
      .filter((file) => heart.some((path) => file.startsWith(path)) && !isTest(file))
      .map((file) => ({ file, lines: codeLines(read(file)) }))
    const sum = sizes.reduce((total, { lines }) => total + lines, 0)
    const largest = sizes.toSorted((a, b) => b.lines - a.lines).slice(0, 5)
    assert.ok(sum < maxHeartLines, `${sum} lines; the largest: ${JSON.stringify(largest)}`)
  })

  it('have no file over 400 lines', () => {
    const long = files
      .map((file) => ({ file, lines: read(file).split('\n').length }))
      .filter(({ lines }) => lines > maxFileLines)
    assert.deepEqual(long, [])
  })

  for (const [file, target, may] of [
    ['src/oci/digest.ts', 'src/oci/errors.ts', true],
    ['src/oci/digest.ts', 'src/http/types.ts', false],
    ['src/http/server.ts', 'src/registry/routes.ts', false],
    ['src/registry/blobs.ts', 'src/http/types.ts', true],
    ['src/registry/blobs.ts', 'src/storage/filesystem.ts', false],
    ['src/storage/filesystem.ts', 'src/http/types.ts', true],
    ['src/storage/filesystem.ts', 'src/http/server.ts', false],
    ['src/storage/object/transport.ts', 'src/platform/http.ts', true],
    ['src/storage/object/driver.ts', 'src/platform/log.ts', false],
    ['src/storage/object/driver.ts', 'src/metadata/sql/store.ts', false],
    ['src/metadata/sqlite/store.ts', 'src/registry/ports/events.ts', true],
    ['src/metadata/sqlite/store.ts', 'src/registry/blobs.ts', false],
    ['src/metadata/sql/protecting.ts', 'src/rules/immutability.ts', true],
    ['src/rules/retention.ts', 'src/metadata/rule-facts.ts', false],
    ['src/listen/listener.ts', 'src/platform/log.ts', true],
    ['src/listen/listener.ts', 'src/http/server.ts', false],
    ['src/http/server.ts', 'src/listen/listener.ts', false],
    ['src/features/upload-purge/index.ts', 'src/features/feature.ts', true],
    ['src/features/upload-purge/index.ts', 'src/features/event-retention/index.ts', false],
    ['src/app.ts', 'src/features/upload-purge/index.ts', false],
    ['src/features/index.ts', 'src/features/upload-purge/index.ts', true],
    ['src/features/index.ts', 'src/app.ts', false],
    ['src/config/load.ts', 'src/app.ts', false],
    ['src/commands/serve.ts', 'src/app.ts', true],
    ['src/main.ts', 'src/app.ts', false],
    ['test/hostile/pace.test.ts', 'src/app.ts', true],
    ['test/support/client.ts', 'src/main.ts', false],
    ['src/new-ring/file.ts', 'src/oci/digest.ts', false],
  ] as const) {
    it(`${may ? 'let' : 'do not let'} ${file} import ${target}`, () => {
      assert.equal(objection(file, target) === undefined, may)
    })
  }

  it('see every way to import', () => {
    assert.ok(importsOf('src/metadata/sqlite/writer.ts').includes('src/metadata/sqlite/writer-thread.ts'))
    assert.ok(importsOf('src/config/yaml.ts').includes('yaml'))
    assert.ok(importsOf('src/app.ts').includes('src/registry/registry.ts'))
    assert.ok(files.some(isIn('src/registry/ports/')))
  })
})
