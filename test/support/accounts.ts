import type { Configuration } from '../../src/config/configuration.ts'
import { useApp } from './app.ts'
import { pushImage } from './registry.ts'

export const adminPassword = 'correct horse battery'
export const passwordOf = (name: string) => `the password of ${name}`
export const basic = (name: string, password: string) =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`

export interface Reply {
  status: number
  headers: Headers
  // oxlint-disable-next-line typescript/no-explicit-any -- what an API answers is looked at field by field
  body: any
}

/** A registry with an administrator called `root`, and ways to ask it. */
export async function useAccounts(
  change: (configuration: Configuration, folder: string) => void = () => {},
  options: Parameters<typeof useApp>[1] = {},
) {
  const app = await useApp((configuration, folder) => {
    configuration.admin = { user: 'root', password: { text: adminPassword } }
    change(configuration, folder)
  }, options)
  const url = `http://127.0.0.1:${app.port}`
  const root = basic('root', adminPassword)
  const user = (name: string) => basic(name, passwordOf(name))

  /** Asks the management API; a text as `as` is the Authorization header. */
  async function api(
    request: string,
    {
      as = root,
      body,
      headers = {},
    }: { as?: string | undefined; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Reply> {
    const [method = '', path = ''] = request.split(' ')
    const reply = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        ...(as !== '' && { Authorization: as }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await reply.text()
    const isJson =
      reply.headers.get('content-type')?.includes('json') && !reply.headers.get('content-type')?.includes('ndjson')
    return { status: reply.status, headers: reply.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** The same where it must succeed. */
  async function must(request: string, options: Parameters<typeof api>[1] = {}): Promise<Reply['body']> {
    const reply = await api(request, options)
    if (reply.status >= 300) throw new Error(`${request}: ${reply.status} ${JSON.stringify(reply.body)}`)
    return reply.body
  }

  /** Asks the registry itself. */
  async function registry(request: string, as = '', more: RequestInit = {}): Promise<Response> {
    const [method = '', path = ''] = request.split(' ')
    return fetch(`${url}/v2${path}`, {
      method,
      ...more,
      headers: { ...(as && { Authorization: as }), ...more.headers },
    })
  }

  return {
    ...app,
    url,
    host: `127.0.0.1:${app.port}`,
    root,
    user,
    api,
    must,
    registry,
    async status(request: string, as = ''): Promise<number> {
      const reply = await registry(request, as)
      await reply.arrayBuffer()
      return reply.status
    },
    addUser: (name: string, more: object = {}) =>
      must(`PUT /users/${name}`, { body: { password: passwordOf(name), ...more } }),
    /** A robot with one role; gives its credentials. */
    async addRobot(organization: string, name: string, role: string, pattern = `${organization}/*`): Promise<string> {
      await must(`PUT /orgs/${organization}/robots/${name}`, { body: {} })
      const login = `robot.${organization}.${name}`
      await must(`PUT /orgs/${organization}/access/robot:${login}?repositories=${encodeURIComponent(pattern)}`, {
        body: { roles: [role] },
      })
      const scopes = ['repo:read', 'repo:write', 'repo:delete']
      const { secret } = await must(`POST /orgs/${organization}/robots/${name}/tokens`, {
        body: { name: 'ci', scopes },
      })
      return basic(login, secret)
    },
    push: (repository: string, as: string, tag = 'v1') =>
      pushImage(url, repository, tag, [Buffer.from(`layer of ${repository}`)], as),
  }
}
