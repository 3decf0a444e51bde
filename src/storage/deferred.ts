import type { StorageDriver } from '../registry/ports/storage.ts'

/** A driver that is loaded with its first use: who keeps images in a folder does not pay for object stores. */
export function deferred(load: () => Promise<StorageDriver>): StorageDriver {
  let loading: Promise<StorageDriver> | undefined
  const driver = () => (loading ??= load())
  return {
    stat: async (path) => (await driver()).stat(path),
    open: async (path) => (await driver()).open(path),
    append: async (...args) => (await driver()).append(...args),
    publish: async (from, to) => (await driver()).publish(from, to),
    delete: async (path) => (await driver()).delete(path),
    list: async (path) => (await driver()).list(path),
    get: async (path) => (await driver()).get(path),
    put: async (path, content, modifiedAt) => (await driver()).put(path, content, modifiedAt),
    alias: async (path, to) => (await driver()).alias(path, to),
    sweep: async (before) => (await (await driver()).sweep?.(before)) ?? 0,
  }
}
