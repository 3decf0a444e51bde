import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Answer } from './operation.ts'
import { Problem } from './problem.ts'

interface Sealed {
  fingerprint: string
  nonce: string
  tag: string
  text: string
}

/** An answer, encrypted by the client's key, with what tells the request it is for. */
export function sealAnswer(answer: Answer, key: string, fingerprint: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', derive(key), nonce)
  const text = Buffer.concat([cipher.update(JSON.stringify(answer)), cipher.final()])
  const [nonceText, tag] = [nonce.toString('base64'), cipher.getAuthTag().toString('base64')]
  return JSON.stringify({ fingerprint, nonce: nonceText, tag, text: text.toString('base64') } satisfies Sealed)
}

/** The answer again. @throws Problem invalid where it was to another request */
export function openAnswer(sealed: string, key: string, fingerprint: string): Answer {
  const { nonce, tag, text, fingerprint: made } = JSON.parse(sealed) as Sealed
  if (made !== fingerprint)
    throw new Problem('invalid', 'this Idempotency-Key was used for another request: take a new one')
  const decipher = createDecipheriv('aes-256-gcm', derive(key), Buffer.from(nonce, 'base64'))
  decipher.setAuthTag(Buffer.from(tag, 'base64'))
  return JSON.parse(
    Buffer.concat([decipher.update(Buffer.from(text, 'base64')), decipher.final()]).toString(),
  ) as Answer
}

const derive = (key: string) => Buffer.from(hkdfSync('sha256', key, '', 'holdfast idempotency', 32))
