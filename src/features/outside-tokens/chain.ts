import { type KeyObject, X509Certificate } from 'node:crypto'

const maxLength = 10

/**
 * The key of the first certificate of an `x5c` header (RFC 7515 4.1.6), if the others lead from it to one of the roots at this
 * moment; undefined if they do not. A root may also be that first one itself.
 */
export function verifyChain(x5c: unknown, roots: X509Certificate[], now: Date): KeyObject | undefined {
  if (!Array.isArray(x5c) || x5c.length > maxLength) return undefined
  const chain = x5c.map(parse)
  const [leaf, ...between] = chain
  if (!leaf || between.includes(undefined)) return undefined
  const others = between as X509Certificate[]
  const seen = new Set<X509Certificate>() // each is looked at once: those who all sign each other make no endless work
  return leadsToRoot(leaf, 0) ? leaf.publicKey : undefined

  /** `below`: how many authorities there are under this certificate. */
  function leadsToRoot(certificate: X509Certificate, below: number): boolean {
    seen.add(certificate)
    if (certificate.validFromDate > now || certificate.validToDate < now) return false
    if (roots.some(({ raw }) => raw.equals(certificate.raw))) return true
    return [...roots, ...others].some(
      (signer) => !seen.has(signer) && hasSigned(signer, certificate, below) && leadsToRoot(signer, below + 1),
    )
  }
}

function hasSigned(signer: X509Certificate, certificate: X509Certificate, below: number): boolean {
  return (
    signer.ca && below <= pathLength(signer) && certificate.checkIssued(signer) && certificate.verify(signer.publicKey)
  )
}

/** How many authorities may stand below this one (RFC 5280 4.2.1.9), which Node does not say: read from the extension's bytes. */
function pathLength({ raw }: X509Certificate): number {
  const found = raw.toString('hex').matchAll(/0603551d13(?:0101ff)?04..30..0101ff0201(..)/g)
  return Math.min(...[...found].map(([, length = '']) => Number.parseInt(length, 16)), maxLength)
}

function parse(text: unknown): X509Certificate | undefined {
  try {
    return typeof text === 'string' ? new X509Certificate(Buffer.from(text, 'base64')) : undefined
  } catch {
    return undefined
  }
}
