import type { Digest } from '../oci/digest.ts'

/** A limit on what an organization (`acme`) or a repository (`acme/app`) may store, in bytes, and what is stored. */
export interface Quota {
  scope: string
  limit: number
  /** From so many percent on it is warned. */
  soft: number
  used: number
  /** Whether the configuration has it; else somebody set it. */
  isConfigured: boolean
}

/** Quotas. What manifests are pushed with is charged in the transaction of the push, each blob once in a scope. */
export interface QuotaFacts {
  list(): Promise<Quota[]>
  find(scope: string): Promise<Quota | undefined>
  /** Those on a repository that do not hold the blob yet. */
  lacking(repository: string, digest: Digest): Promise<Quota[]>
  /** Sets a limit, and counts anew what is stored: this looks at all that the scope has. */
  set(quota: Omit<Quota, 'used'>): Promise<void>
  remove(scope: string): Promise<boolean>
}

/** A sentence that says that something does not fit; `what`: "this image". */
export function refusalOf({ scope, limit, used }: Quota, needed: number, what: string) {
  const needs = needed > 0 ? `${what} needs ${shown(needed)} more` : `${what} needs more`
  return {
    message: `the storage quota of ${scope} is exceeded: ${shown(used)} of ${shown(limit)} are used and ${needs}; delete images (they count until they leave the trash), or ask an administrator for more`,
    detail: { scope, used, limit, needed },
  }
}

/** Bytes as docker shows them. */
function shown(bytes: number): string {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return `${Number((bytes / 1000 ** power).toPrecision(4))} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`
}
