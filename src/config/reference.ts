import { type Description, describeKeys } from './describe.ts'

const introduction = `# Configuration

<!-- Made from the table of keys in src/config/keys; UPDATE=1 npm test -- src/config/reference.test.ts writes it anew. -->

\`holdfast serve\` needs no configuration. With \`holdfast serve CONFIG\` it reads the file that registry:2 and registry:3 read.
A flag (\`--addr\`, \`--data\`) comes before a variable, a variable before the file, the file before the default.

\`\`\`sh
holdfast config init > config.yml          # a file to start from
holdfast config check config.yml           # what is wrong, what is not honoured
holdfast config show config.yml --origin   # what holds, and where it comes from
holdfast config explain http.tls           # what a key means
holdfast config schema > schema.json       # for editors
\`\`\`

- **The file** is named on the command line or by \`REGISTRY_CONFIGURATION_PATH\`; otherwise none is read. (The entrypoint of the
  container image passes \`/etc/docker/registry/config.yml\` or \`/etc/distribution/config.yml\`.) With a file the defaults are
  registry:2's: all interfaces, port 5000, \`/var/lib/registry\`, no deleting. Without \`http.addr\` registry:2 takes a random port.
- **Values.** Booleans may be true, yes or on, quoted or not. Durations are \`30s\`, \`1h30m\` or \`168h\`; a bare number counts
  nanoseconds, as in registry:2, and gets a warning. Of two equal keys the last counts. An empty value is none.
- **Variables.** \`REGISTRY_\` and the path of the key in capitals, joined by \`_\`: \`REGISTRY_HTTP_ADDR\`. Ours begin with
  \`HOLDFAST_\`. Items of lists are counted from 0 (\`REGISTRY_HTTP_TLS_CLIENTCAS_0\`), and a name of your own ends the path
  (\`REGISTRY_HTTP_HEADERS_X-Frame-Options\`). The value is YAML, so a variable can hold a whole section:
  \`REGISTRY_STORAGE='{filesystem: {rootdirectory: /srv}, delete: {enabled: true}}'\`. Sections come before their parts. What
  Kubernetes sets for a Service called \`registry\` is passed over.
- **Unknown keys** are warned about, with the nearest name. In \`storage\`, \`auth\` and \`holdfast\` they are errors, because to
  go on without them would be unsafe.
- **Not there yet.** A key of a capability that comes later is named at the start. Where to go on without it would be unsafe
  (the pull-through cache) Holdfast does not start.
- **Errors** are said all at once, each with file and line; nothing is started.
`

/** docs/configuration.md: all keys, a table for each section of the file. */
export function reference(): string {
  const sections = Map.groupBy(describeKeys(), ({ path }) => path.split(/[.[]/, 1)[0]!)
  return [introduction, ...[...sections].map(([name, rows]) => section(name, rows))].join('\n')
}

function section(name: string, [first, ...rest]: Description[]): string {
  const rows = rest.length > 0 ? rest.filter(({ form, status }) => form !== 'a section' || status) : [first!]
  const lines = rows.map(({ path, doc, form, default: initial, status }) =>
    [`\`${path}\``, initial ? code(initial) : '', `${doc} ${status ? `_This ${status}._` : `Form: ${form}.`}`]
      .map((cell) => cell.replaceAll('|', '\\|'))
      .join(' | '),
  )
  return `## ${name}\n\n${rest.length > 0 ? `${first!.doc}\n\n` : ''}| key | default | meaning |\n| --- | --- | --- |\n${lines.map((line) => `| ${line} |\n`).join('')}`
}

/** A default, or the two of them, as code. */
const code = (text: string) => `\`${text.replace('; without a file ', '`; without a file `')}\``
