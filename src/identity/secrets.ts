import { hash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** What a secret of ours is for: a user's or a robot's access token, or the first set-up. */
export type SecretKind = 'pat' | 'rob' | 'set'

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 30 letters of 62 are 178 bits. */
const [length, checkLength] = [30, 6]
const form = /^(holdfast_(?:pat|rob|set)_[0-9A-Za-z]{30})([0-9A-Za-z]{6})$/

/** A new secret: what it is for, random letters, and a checksum, so that scanners find it where it does not belong. */
export function makeSecret(kind: SecretKind): string {
  const random = Array.from({ length }, () => letters[randomInt(letters.length)]).join('')
  const text = `holdfast_${kind}_${random}`
  return text + checksum(text)
}

/** Whether a text is a secret of ours, whole and well spelled. */
export function isSecret(text: string): boolean {
  const [, secret, check] = form.exec(text) ?? []
  return secret !== undefined && checksum(secret) === check
}

/** What is kept of a secret: it has bits enough that nobody finds it by trying. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret)
}

/** CRC32 in six letters, as GitHub's tokens have it. */
function checksum(text: string): string {
  let rest = crc32(text)
  let check = ''
  for (let i = 0; i < checkLength; i++) {
    check = letters[rest % letters.length]! + check
    rest = Math.floor(rest / letters.length)
  }
  return check
}
