// What a registry knows of those who use it. Moments are milliseconds; `list` fields are kept as JSON.

/** A user, an organization or a robot: they share one space of names. */
export interface Account {
  name: string
  kind: 'user' | 'organization' | 'robot'
  /** Whose robot it is; empty for others. */
  organization: string
  /** The hash of a user's password; empty: it signs in by access tokens alone. */
  password: string
  isAdministrator: boolean
  isDisabled: boolean
  /** Whether who may write in an organization makes repositories by pushing. */
  createsOnPush: boolean
  /** Whether a user owns the namespace of their name; not where others had pushed there before somebody from elsewhere came. */
  ownsNamespace: boolean
  description: string
  createdAt: number
}

/** That a user belongs to an organization (`team` is empty) or to one of its teams. */
export interface Member {
  organization: string
  team: string
  account: string
  role: string
}

export interface Team {
  organization: string
  name: string
  description: string
}

/** A secret that stands for an account, for parts of what that may do. */
export interface AccessToken {
  id: string
  account: string
  name: string
  /** SHA-256 of the secret, in hexadecimal digits. */
  hash: string
  scopes: string[]
  /** Patterns of repositories; none: all. */
  repositories: string[]
  createdAt: number
  /** 0: never. */
  expiresAt: number
  /** 0: not yet. */
  usedAt: number
  usedFrom: string
}

/** Roles of a principal on the repositories that a pattern names. */
export interface RoleGrant {
  /** The organization or user in whose namespace the pattern lies; empty: in any. */
  namespace: string
  repositories: string
  /** `user:NAME`, `robot:NAME`, `team:ORGANIZATION/TEAM`, `org:ORGANIZATION` or `everyone`. */
  principal: string
  roles: string[]
  createdAt: number
}

/** That tokens of an issuer stand for a robot, which meet all conditions of a document. */
export interface RobotTrust {
  /** The name of the account. */
  robot: string
  id: string
  issuer: string
  audiences: string[]
  /** By claim the values, or patterns, of which one must fit; as JSON. */
  claims: string
  createdAt: number
}

export interface Visibility {
  repository: string
  visibility: string
}

/** A policy in the form of IAM; its namespace is empty where it is about all repositories. */
export interface PolicyText {
  name: string
  namespace: string
  document: string
  createdAt: number
}

/** A document of rules for the repositories of a scope: `*`, those of a namespace (`acme/*`), or one. */
export interface RuleSet {
  kind: 'immutability' | 'retention'
  scope: string
  document: string
  changedAt: number
}

/** That a tag stays where it is, and that it is not deleted. */
export interface TagLock {
  repository: string
  tag: string
  isFixed: boolean
  isKept: boolean
  lockedBy: string
  lockedAt: number
}

/** All that is kept, by the name of its table. */
export interface AccountRows {
  account: Account
  member: Member
  team: Team
  access_token: AccessToken
  role_grant: RoleGrant
  robot_trust: RobotTrust
  visibility: Visibility
  policy: PolicyText
  rule_set: RuleSet
  tag_lock: TagLock
}

export type AccountTable = keyof AccountRows

/** A row as it shall be, or rows that shall go. */
export type AccountChange = {
  [T in AccountTable]: { table: T; put: AccountRows[T] } | { table: T; remove: Partial<AccountRows[T]> }
}[AccountTable]

/** What happened, for the audit log. */
export interface AuditEntry {
  /** Such as `user.created`, `sign-in.failed` or `access.denied`. */
  action: string
  /** Who: the name of an account, or what was given for one. */
  actor: string
  address: string
  /** What it was done to. */
  target: string
  detail?: Record<string, unknown>
}

/** A request that was refused; ids may be the clients' own, so several may have the same. */
export interface Refusal {
  id: string
  at: number
  body: string
}

export interface AuditRecord {
  sequence: number
  at: number
  /** The hash of the record before this one. */
  previous: string
  /** SHA-256 over all the rest; see `auditHash`. */
  hash: string
  body: string
}

/** Part of a list in order of the key, after `last`: the values of the key's columns that are not given. */
export interface AccountPage {
  limit: number
  last?: string[] | undefined
}

export interface TokenUse {
  id: string
  at: number
  from: string
}

/** What accounts ask of a store beside the heart's port. */
export interface AccountFacts {
  /** Rises with every change of what is kept here, except the last use of tokens. 0: there never was anything. */
  version(): Promise<number>
  /** The first row with these values. */
  find<T extends AccountTable>(table: T, where: Partial<AccountRows[T]>): Promise<AccountRows[T] | undefined>
  list<T extends AccountTable>(table: T, where: Partial<AccountRows[T]>, page?: AccountPage): Promise<AccountRows[T][]>
  /** Whether a repository of this name, or one in this namespace, holds anything. */
  holds(where: { repository: string } | { namespace: string }): Promise<boolean>
  /**
   * Makes the changes and records them in one transaction, unless something changed since `version`: then it gives false and
   * changes nothing.
   */
  change(version: number, changes: AccountChange[], entries: AuditEntry[]): Promise<boolean>
  useTokens(uses: TokenUse[]): Promise<void>
  refusals: {
    /** Keeps them for a day, the newest 20,000. */
    record(refusals: Refusal[]): Promise<void>
    /** Those of this id, the newest first. */
    find(id: string): Promise<Refusal[]>
  }
  audit: {
    record(entries: AuditEntry[]): Promise<void>
    /** Records after this one, in their order. */
    after(sequence: number, limit: number): Promise<AuditRecord[]>
    /** Records before this one, the newest first. */
    before(sequence: number, limit: number): Promise<AuditRecord[]>
    /** Removes what is older, and records what went, so that the rest can still be verified. */
    deleteBefore(moment: number): Promise<number>
  }
}

/** A new account, with what most have. */
export function newAccount(name: string, kind: Account['kind'], createdAt: number): Account {
  return {
    name,
    kind,
    organization: '',
    password: '',
    isAdministrator: false,
    isDisabled: false,
    createsOnPush: true,
    ownsNamespace: true,
    description: '',
    createdAt,
  }
}

/** Whether nobody could administer without this user. */
export async function isLastAdministrator(facts: AccountFacts, user: Account): Promise<boolean> {
  if (!user.isAdministrator || user.isDisabled) return false
  const all = await facts.list('account', { kind: 'user', isAdministrator: true, isDisabled: false }, { limit: 2 })
  return all.length < 2
}
