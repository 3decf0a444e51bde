import { closeSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Configuration } from '../config/configuration.ts'
import type { Log } from '../platform/log.ts'

/** The folders that decide whose a volume is: registry:2 may have made them as another user than the one above them. */
const telling = [
  '',
  'docker',
  'docker/registry/v2',
  'docker/registry/v2/blobs',
  'docker/registry/v2/repositories',
  'holdfast',
]

/** The files that are read while the registry runs. */
export function filesOf({ auth, http, storage, secretKeys }: Configuration): string[] {
  const { source, clientCas = [] } = http.tls ?? {}
  const certificates = source && 'certificate' in source ? [source.certificate, source.key] : []
  const wrapping = [...(storage.encryption?.keys ?? []), ...secretKeys]
  const keys = wrapping.flatMap((key) => (key.kind === 'file' ? [key.path] : []))
  return [...(auth?.kind === 'htpasswd' ? [auth.path] : []), ...certificates, ...clientCas, ...keys]
}

/**
 * Goes on as the owner of the volume where the process is root, so that a registry in a container need not be. Stays root when
 * the volume is root's or of several owners, or when that owner could not read `files`, which the configuration names.
 */
export function runAsOwner(root: string, files: string[], log: Log): void {
  if (process.getuid?.() !== 0) return
  const owners = telling.flatMap((name) => {
    const found = statSync(join(root, name), { throwIfNoEntry: false })
    return found ? [`${found.uid}:${found.gid}`] : []
  })
  const [owner, ...others] = new Set(owners)
  if (owner === undefined || owner.startsWith('0:')) return
  const [uid, gid] = owner.split(':').map(Number) as [number, number]
  const unreadable = files.find((file) => !canRead(file, uid, gid))
  if (others.length > 0 || unreadable !== undefined) {
    const reason =
      unreadable === undefined
        ? `the volume has several owners: ${[owner, ...others].join(', ')}`
        : `${owner} cannot read ${unreadable}`
    return log.warn('privileges.kept', { user: 'root', reason })
  }
  process.setgroups!([gid])
  process.setgid!(gid)
  process.setuid!(uid)
  log.info('privileges.dropped', { uid, gid })
}

/** Tried for real, under that user's identity. */
function canRead(file: string, uid: number, gid: number): boolean {
  process.setegid!(gid)
  process.seteuid!(uid)
  try {
    closeSync(openSync(file, 'r'))
    return true
  } catch {
    return false
  } finally {
    process.seteuid!(0)
    process.setegid!(0)
  }
}
