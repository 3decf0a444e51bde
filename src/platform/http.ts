/**
 * Node's own HTTP. Not by `import`, which reads every export of a module of Node's: some of this one are getters that load a
 * second HTTP client, 14 MB and 25 ms of each start.
 */
export const http = process.getBuiltinModule('node:http')

/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY as registry:2 takes them: there is none on the way to this machine. */
export function proxies(): NodeJS.ProcessEnv {
  const none = process.env.no_proxy ?? process.env.NO_PROXY ?? ''
  return { ...process.env, no_proxy: `${none},localhost,127.0.0.1,[::1]` }
}

/** Whether requests may have to go through one. */
export function hasProxy(): boolean {
  return ['http_proxy', 'https_proxy', 'all_proxy'].some((name) => process.env[name] || process.env[name.toUpperCase()])
}
