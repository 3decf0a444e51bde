/**
 * What sign-in keeps where all nodes find it: small texts by kind and id, such as keys, refresh tokens and what may be used only
 * once. Each ends at a moment, or never.
 */
export interface Vault {
  /** Undefined also when it has ended. */
  get(kind: string, id: string): Promise<VaultEntry | undefined>
  /** All of a kind that have not ended, in order of id. */
  list(kind: string): Promise<({ id: string } & VaultEntry)[]>
  /** Adds an entry unless one of this id is there; of many at once one is told true. */
  add(kind: string, id: string, entry: VaultEntry): Promise<boolean>
  /** Puts another text in the place of this one, if it still stands there. */
  replace(kind: string, id: string, before: string, after: string): Promise<boolean>
  /** Lets an entry that is there end at another moment. */
  extend(kind: string, id: string, endsAt: Date | undefined): Promise<void>
  delete(kind: string, id: string): Promise<void>
  /** Removes what has ended. */
  sweep(): Promise<void>
}

/** A vault for what must not be read by who has the database alone: where there is a key for it, texts are encrypted. */
export interface Secrets extends Vault {
  /** Encrypts what lies there in plain from before there was a key. */
  seal(kind: string): Promise<void>
}

export interface VaultEntry {
  text: string
  endsAt: Date | undefined
}

/** The kind of sessions of browsers, by the hash of their secret, and that of what a user may know of them, by the same ids. */
export const sessionKind = 'session'
export const sessionsOf = (name: string) => `sessions-of-${name}`

/** Ends a session of a user. */
export async function dropSession(vault: Pick<Vault, 'delete'>, name: string, id: string): Promise<void> {
  await vault.delete(sessionKind, id)
  await vault.delete(sessionsOf(name), id)
}
