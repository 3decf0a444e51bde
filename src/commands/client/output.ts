/** How a command prints: a table for people, JSON for programs, or names alone. */
export type Form = 'table' | 'json' | 'name'

/** Prints items by these columns, the first of which is the name. */
export function printList(form: Form, items: Record<string, unknown>[], columns: string[]): void {
  if (form === 'json') return print(JSON.stringify(items, null, 2))
  if (form === 'name') return print(items.map((item) => cell(item[columns[0]!])).join('\n'))
  const rows = [columns.map(heading), ...items.map((item) => columns.map((column) => cell(item[column])))]
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)))
  print(
    rows
      .map((row) =>
        row
          .map((text, index) => text.padEnd(widths[index]!))
          .join('  ')
          .trimEnd(),
      )
      .join('\n'),
  )
}

/** Prints one thing, a line a field. */
export function printOne(form: Form, item: Record<string, unknown>, name = 'name'): void {
  if (form === 'json') return print(JSON.stringify(item, null, 2))
  if (form === 'name') return print(cell(item[name]))
  const width = Math.max(...Object.keys(item).map((key) => heading(key).length))
  print(
    Object.entries(item)
      .map(([key, value]) => `${heading(key).padEnd(width)}  ${cell(value)}`.trimEnd())
      .join('\n'),
  )
}

/** Data go to standard output, everything else to standard error. */
export function print(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`)
}

export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

const heading = (column: string) => column.replaceAll(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase()

/** A value on one line of a terminal: what others wrote must not steer it. */
function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  const text = Array.isArray(value)
    ? value.map(String).join(',')
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value)
  return (text || '-').replaceAll(/\p{Cc}/gu, '?')
}
