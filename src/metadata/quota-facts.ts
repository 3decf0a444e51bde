/** A limit on what an organization (`acme`) or a repository (`acme/app`) may store, in bytes, and what is stored. */
export interface Quota {
  scope: string
  limit: number
  /** From so many percent on it is warned. */
  soft: number
  used: number
}

/** Quotas. What manifests are pushed with is charged in the transaction of the push, each blob once in a scope. */
export interface QuotaFacts {
  list(): Promise<Quota[]>
  find(scope: string): Promise<Quota | undefined>
  /** Sets a limit, and counts anew what is stored: this looks at all that the scope has. */
  set(quota: Pick<Quota, 'scope' | 'limit' | 'soft'>): Promise<void>
  remove(scope: string): Promise<boolean>
}
