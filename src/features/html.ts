import { hash } from 'node:crypto'
import { type HttpReply, reply } from '../http/types.ts'

/** Text that is HTML already; anything else is escaped. */
export interface Html {
  html: string
}

type Value = string | Html | readonly Html[]

/** HTML of a template: whatever stands in it stays text. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return { html: parts.map((part, index) => part + (index < values.length ? written(values[index]!) : '')).join('') }
}

function written(value: Value): string {
  if (typeof value !== 'string')
    return [value]
      .flat()
      .map((one) => (one as Html).html)
      .join('')
  const names: Record<string, string> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": '#39' }
  return value.replaceAll(/[&<>"']/g, (letter) => `&${names[letter]};`)
}

const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 15vh auto 2rem; padding: 0 1rem; color-scheme: light dark }
h1 { font-size: 1.3rem } label { display: block; margin: .75rem 0 }
input { display: block; width: 100%; box-sizing: border-box; padding: .4rem; font: inherit }
button { padding: .4rem 1rem; font: inherit; margin: .5rem .5rem .5rem 0 } code { font-size: 1.2em }
[role=alert] { border-left: .25rem solid #c33; padding-left: .75rem }`

// As a whole: the policy names the hash of exactly what stands in it.
const styled = { html: `<style>${style}</style>` }

// Nothing is loaded, nothing runs, no other site shows it in a frame. `same-origin`: without a referrer forms would have no Origin.
const headers = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

/** A page. */
export function page(status: number, title: string, content: Html, more: Record<string, string> = {}): HttpReply {
  const whole = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title} – Holdfast</title>
        ${styled}
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html>`
  return reply(status, { ...headers, ...more }, whole.html)
}

/** Sends a browser on, by GET. */
export function goTo(location: string, more: Record<string, string> = {}): HttpReply {
  return reply(303, { Location: location, 'Cache-Control': 'no-store', 'Referrer-Policy': 'same-origin', ...more })
}
