import { hash, type KeyObject, sign } from 'node:crypto'

// As much of X.509 (RFC 5280) as an authority needs that signs keys for tokens, in DER.

export interface CertificateOptions {
  /** The key the certificate is for. */
  publicKey: KeyObject
  name: string
  /** Who signs it; an authority signs itself. */
  signer: { name: string; publicKey: KeyObject; privateKey: KeyObject }
  isAuthority: boolean
  from: Date
  until: Date
}

/** A certificate for an elliptic key, signed with another one (ecdsa-with-SHA256), as DER. */
export function createCertificate(options: CertificateOptions): Buffer {
  const { publicKey, name, signer, isAuthority, from, until } = options
  const identifier = (key: KeyObject) =>
    hash('sha256', key.export({ type: 'spki', format: 'der' }), 'buffer').subarray(0, 20)
  const serial = hash('sha256', `${name} ${from.toISOString()} ${identifier(publicKey).toString('hex')}`, 'buffer')
  serial[0] = 0x40 | (serial[0]! & 0x3f) // positive, and never the shorter for it
  const extensions = [
    extension('551d13', true, sequence(...(isAuthority ? [der(0x01, Buffer.from([0xff]))] : []))), // basicConstraints
    extension('551d0f', true, der(0x03, Buffer.from(isAuthority ? [2, 0x04] : [7, 0x80]))), // keyUsage: keyCertSign, digitalSignature
    extension('551d0e', false, der(0x04, identifier(publicKey))),
    extension('551d23', false, sequence(der(0x80, identifier(signer.publicKey)))),
  ]
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial.subarray(0, 16)),
    ecdsaWithSha256,
    nameOf(signer.name),
    sequence(time(from), time(until)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', content, signer.privateKey)
  return sequence(content, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
}

/** A certificate as files hold it. */
export function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts)
const identifierOf = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const ecdsaWithSha256 = sequence(identifierOf('2a8648ce3d040302'))

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  const critical = isCritical ? [der(0x01, Buffer.from([0xff]))] : []
  return sequence(identifierOf(id), ...critical, der(0x04, value))
}

/** A name of one common name. */
function nameOf(text: string): Buffer {
  return sequence(der(0x31, sequence(identifierOf('550403'), der(0x0c, Buffer.from(text)))))
}

/** Two digits for the year until 2049, four from then on. */
function time(moment: Date): Buffer {
  const digits = moment.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return moment.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
