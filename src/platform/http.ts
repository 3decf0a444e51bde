/**
 * Node's own HTTP. Not by `import`, which reads every export of a module of Node's: some of this one are getters that load a
 * second HTTP client, 14 MB and 25 ms of each start.
 */
export const http = process.getBuiltinModule('node:http')
