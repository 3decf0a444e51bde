import { resolve } from 'node:path'
import type { EncryptionConfiguration, WrappingKey } from '../configuration.ts'
import { type Build, withoutUndefined } from './tools.ts'

const path = 'holdfast.storage.encryption'

/** The keys blobs are encrypted with, if any are given, and what does not go together with that. */
export function buildEncryption(build: Build): EncryptionConfiguration | undefined {
  const { enabled, keys: given } = build.reading.values.holdfast.storage.encryption
  if (given.length === 0) {
    if (enabled)
      build.error(`${path}.keys`, 'is missing: expected a list of keys, each with an id and a key, file or command')
    return undefined
  }
  const keys = buildKeys(build, `${path}.keys`, given)
  checkTogether(build, enabled ?? true)
  return { enabled: enabled ?? true, keys }
}

/** The keys that secrets in the database are encrypted with; none: they are not. */
export function buildSecretKeys(build: Build): WrappingKey[] {
  return buildKeys(build, 'holdfast.secrets.keys', build.reading.values.holdfast.secrets.keys)
}

type Given = Build['reading']['values']['holdfast']['storage']['encryption']['keys'][number]

function buildKeys(build: Build, at: string, given: Given[]): WrappingKey[] {
  const keys = given.flatMap((key, index) => buildKey(build, `${at}.${index}`, key) ?? [])
  const ids = keys.map(({ id }) => id)
  for (const [index, id] of ids.entries())
    if (ids.indexOf(id) < index)
      build.error(`${at}.${index}.id`, `is ${JSON.stringify(id)} again: expected an id of its own`)
  return keys
}

function buildKey({ error, missing }: Build, at: string, { id, key, file, command }: Given): WrappingKey | undefined {
  if (!id) missing(`${at}.id`, 'a name, such as 2026')
  const words = withoutUndefined(command)
  const count = [key, file, words[0]].filter((value) => value !== undefined).length
  if (count > 1) error(at, 'has more than one of key, file and command: expected one of them')
  if (!id) return undefined
  if (key !== undefined) return { id, kind: 'key', key }
  if (file !== undefined) return { id, kind: 'file', path: resolve(file) }
  if (words.length > 0) return { id, kind: 'command', command: words }
  missing(`${at}.key`, 'one of key, file and command')
  return undefined
}

function checkTogether({ reading, error, warn }: Build, enabled: boolean): void {
  const { storage, holdfast } = reading.values
  const isInStore = [storage.s3, storage.s3aws, storage.azure, storage.gcs].some((store) => store !== undefined)
  if (enabled && isInStore && !storage.redirect.disable)
    error(
      `${path}.keys`,
      'needs storage.redirect.disable: true, for clients cannot decrypt what they fetch from the store',
    )
  if (holdfast.storage.followtree)
    warn(`${path}.keys`, 'switches holdfast.storage.followtree off, for registry:2 could not read the blobs')
}
