/**
 * What a storage must remember of content that is on its way in, so that any node can go on with it: a text of the storage's own
 * for each path. Of two writers at once one is refused.
 */
export interface UploadStates {
  get(path: string): Promise<{ version: number; state: string; changedAt: Date } | undefined>
  /** Writes the state if its version is still `expected` (0: there is none), and tells whether it was; its version is then one more. */
  set(path: string, state: string, expected: number): Promise<boolean>
  delete(path: string): Promise<void>
  /** The paths that begin with these letters, in byte order. */
  below(prefix: string): Promise<string[]>
}

/** For who only looks at what is published. */
export const noUploadStates: UploadStates = {
  get: async () => undefined,
  set: async () => false,
  delete: async () => {},
  below: async () => [],
}
