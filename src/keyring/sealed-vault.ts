import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Secrets, Vault } from '../auth/vault.ts'
import type { KeyPlace, Keyring } from './keyring.ts'

// A sealed text: `sealed:1:`, the id of its key, `:`, and in base64 nonce (12), ciphertext and tag (16). AES-256-GCM; the tag also
// vouches for the kind and the id of the entry, so none can stand in for another.

const [nonceSize, tagSize] = [12, 16]
const form = /^sealed:1:([\da-f]{16}):([\w+/]+=*)$/
const prefix = 'sealed:'

/** The kind of the keys in the vault that secrets are encrypted with. */
export const secretsKeyKind = 'secrets-key'
const option = 'holdfast.secrets.keys'

/** The keys that secrets are encrypted with: beside them in the vault, wrapped by keys of the configuration. */
export function keysIn(vault: Vault): KeyPlace {
  return {
    ids: async () => (await vault.list(secretsKeyKind)).map(({ id }) => id),
    get: async (id) => (await vault.get(secretsKeyKind, id))?.text,
    async put(id, text) {
      const before = await vault.get(secretsKeyKind, id)
      // Who was faster has put the same key there.
      if (before) await vault.replace(secretsKeyKind, id, before.text, text)
      else await vault.add(secretsKeyKind, id, { text, endsAt: undefined })
    },
    nameOf: (id) => `key ${id} of secrets in the database`,
    option,
    what: 'secrets in the database',
  }
}

/** A vault whose texts are encrypted before they are written; without a keyring what is encrypted cannot be read, and nothing is. */
export function sealedVault(vault: Vault, ring: Keyring | undefined): Secrets {
  function seal(kind: string, id: string, text: string): string {
    if (!ring) return text
    const { id: by, key } = ring.current()
    const nonce = randomBytes(nonceSize)
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(vouched(kind, id))
    const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
    return `${prefix}1:${by}:${sealed.toString('base64')}`
  }

  async function open(kind: string, id: string, text: string): Promise<string> {
    if (!text.startsWith(prefix)) return text
    if (!ring) throw new Error(`Cannot read ${kind} ${id} in the database: it is encrypted; name its key in ${option}`)
    const [, by, content] = form.exec(text) ?? []
    if (by === undefined || content === undefined) throw damaged(kind, id)
    const { key } = await ring.find(by)
    const sealed = Buffer.from(content, 'base64')
    if (sealed.length < nonceSize + tagSize) throw damaged(kind, id)
    const options = { authTagLength: tagSize }
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceSize), options)
    decipher.setAAD(vouched(kind, id)).setAuthTag(sealed.subarray(-tagSize))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(nonceSize, -tagSize)), decipher.final()]).toString()
    } catch (cause) {
      throw damaged(kind, id, cause)
    }
  }

  /** What is encrypted with a key that was thrown away (`holdfast keys renew`) could be read by nobody after this process. */
  async function isKept(): Promise<boolean> {
    return !ring || (await vault.get(secretsKeyKind, ring.current().id)) !== undefined
  }

  /** Writes by a key that is there before and afterwards, whoever throws it away meanwhile. @throws Error where it is gone */
  async function write(kind: string, id: string, put: () => Promise<boolean>): Promise<boolean> {
    if (!(await isKept())) throw thrownAway()
    const isDone = await put()
    if (!isDone || (await isKept())) return isDone
    await vault.delete(kind, id)
    throw thrownAway()
  }

  return {
    ...vault,
    async get(kind, id) {
      const entry = await vault.get(kind, id)
      return entry && { ...entry, text: await open(kind, id, entry.text) }
    },
    async list(kind) {
      const entries = await vault.list(kind)
      return Promise.all(entries.map(async (entry) => ({ ...entry, text: await open(kind, entry.id, entry.text) })))
    },
    add: (kind, id, entry) =>
      write(kind, id, () => vault.add(kind, id, { ...entry, text: seal(kind, id, entry.text) })),
    async replace(kind, id, before, after) {
      const entry = await vault.get(kind, id)
      if (!entry || (await open(kind, id, entry.text)) !== before) return false
      return write(kind, id, () => vault.replace(kind, id, entry.text, seal(kind, id, after)))
    },
    async seal(kind) {
      if (!ring) return
      for (const { id, text } of await vault.list(kind))
        if (!text.startsWith(prefix)) await write(kind, id, () => vault.replace(kind, id, text, seal(kind, id, text)))
    },
  }
}

const vouched = (kind: string, id: string) => Buffer.from(`${kind}\0${id}`)

const thrownAway = () =>
  new Error('Cannot keep secrets in the database: their key was thrown away since this process started; restart it')

function damaged(kind: string, id: string, cause?: unknown): Error {
  return new Error(`Cannot read ${kind} ${id} in the database: it is damaged; put it back from a backup`, { cause })
}
