/** What blobs are encrypted with. */
export interface EncryptionConfiguration {
  /** Whether new blobs are encrypted; those that are stay readable in any case. */
  enabled: boolean
  /** At least one; the first wraps. */
  keys: WrappingKey[]
}

/** A key that only wraps other keys, by its name. */
export type WrappingKey = { id: string } & (
  | { kind: 'key'; key: string }
  | { kind: 'file'; path: string }
  | { kind: 'command'; command: string[] }
)
