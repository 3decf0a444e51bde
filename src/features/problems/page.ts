import { problems } from '../../api/problem.ts'
import { type HttpReply, reply } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import { html, page } from '../html.ts'

interface Asked {
  /** Undefined: the list of all. */
  kind: string | undefined
  accept: string | undefined
  /** What stands before our paths, without a slash at its end. */
  prefix: string
}

/** What a problem means and what to do: as HTML for browsers, as text for all others. @throws OciError where there is no such problem */
export function problemPage({ kind, accept, prefix }: Asked): HttpReply {
  if (kind !== undefined && !Object.hasOwn(problems, kind))
    throw new OciError('NAME_UNKNOWN', { message: 'there is no such problem: GET /problems lists them' })
  const isForBrowsers = accept?.includes('text/html') ?? false
  const known = kind as keyof typeof problems | undefined
  const made = known === undefined ? listOf(prefix, isForBrowsers) : pageOf(known, prefix, isForBrowsers)
  made.headers.push('Vary', 'Accept')
  return made
}

function listOf(prefix: string, isForBrowsers: boolean): HttpReply {
  const all = Object.entries(problems)
  if (!isForBrowsers)
    return plain(all.map(([kind, [status, title]]) => `${status} ${`/problems/${kind}`.padEnd(34)} ${title}`))
  const rows = all.map(([kind, [status, title]]) => {
    const target = `${prefix}/problems/${kind}`
    return html`<li>${String(status)} <a href="${target}">${kind}</a>: ${title}</li>`
  })
  return page(
    200,
    'Problems',
    html`<ul>
      ${rows}
    </ul>`,
  )
}

function pageOf(kind: keyof typeof problems, prefix: string, isForBrowsers: boolean): HttpReply {
  const [status, title, meaning, advice] = problems[kind]
  if (!isForBrowsers) return plain([`${title} (${kind}, ${status})`, '', meaning, '', `What to do: ${advice}`])
  const all = html`<p><a href="${`${prefix}/problems`}">All problems</a></p>`
  return page(
    200,
    title,
    html`<p><code>${kind}</code>, ${String(status)}</p>
      <p>${meaning}</p>
      <h2>What to do</h2>
      <p>${advice}</p>
      ${all}`,
  )
}

function plain(lines: string[]): HttpReply {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' }
  return reply(200, headers, `${lines.join('\n')}\n`)
}
