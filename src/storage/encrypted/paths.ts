// Where encryption keeps its own, below the root of the storage:
//
//   holdfast/encryption-keys/<id>.json    the keys of the volume, each wrapped by a key of the configuration
//   holdfast/encrypted/<path>             encrypted content of a path
//   holdfast/uploads/<id>~<name>          encrypted bytes on their way in; what they are is in the database

/** Without these files no encrypted blob can be read. */
export const keysPath = 'holdfast/encryption-keys'

/** Encrypted content has paths of its own: no plain bytes, whoever chose them, can ever be taken for encrypted ones. */
export const sealedPath = (path: string) => `holdfast/encrypted/${path}`
