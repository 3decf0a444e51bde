import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hashSync } from 'bcryptjs'
import type { Configuration, TokensConfiguration } from '../../src/config/configuration.ts'
import { type Answer, call, type CallOptions } from '../support/client.ts'
import { type TestApp, useApp } from '../support/app.ts'

export const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
export const bearer = (token: string) => `Bearer ${token}`
export const ann = basic('ann', 'secret')

export const tokensOn: TokensConfiguration = {
  realm: undefined,
  service: 'holdfast',
  issuer: 'holdfast',
  services: [],
  lifeMs: 300_000,
  offline: false,
}

export interface TokenApp extends TestApp {
  url: string
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  get(path: string, authorization?: string): Promise<Answer>
  post(form: Record<string, string> | URLSearchParams, path?: string): Promise<Answer>
  /** Writes the users' file anew. */
  setUsers(users: Record<string, string>): Promise<void>
  /** A token for these scopes. */
  token(scope: string, authorization?: string): Promise<string>
  passSeconds(seconds: number): void
  now(): number
}

/** A registry with two users and the token service, on a clock of its own. */
export async function useTokenApp(
  change: (configuration: Configuration, folder: string) => void = () => {},
  folder?: string,
  prepare: (folder: string) => Promise<void> = async () => {},
): Promise<TokenApp> {
  const time = { ms: Date.now() }
  let path = ''
  let users = { ann: 'secret', bob: 'word' } as Record<string, string>
  const write = () =>
    writeFile(
      path,
      Object.entries(users)
        .map(([user, password]) => `${user}:${hashSync(password, 4)}\n`)
        .join(''),
    )
  const app = await useApp(
    (configuration, own) => {
      path = join(own, 'htpasswd')
      configuration.auth = { kind: 'htpasswd', realm: 'test', path }
      configuration.tokens = { ...tokensOn }
      change(configuration, own)
    },
    {
      ...(folder !== undefined && { folder }),
      clock: { now: () => new Date(time.ms) },
      async prepare() {
        await write()
        await prepare(dirname(path))
      },
    },
  )
  const url = `http://127.0.0.1:${app.port}`
  const headersFor = (authorization?: string) => (authorization === undefined ? {} : { authorization })
  const self: TokenApp = {
    ...app,
    url,
    call: (method, target, options) => call(url, method, target, options),
    get: (target, authorization) => call(url, 'GET', target, { headers: headersFor(authorization) }),
    post: (form, target = '/token') =>
      call(url, 'POST', target, {
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      }),
    async setUsers(next) {
      users = next
      await write()
      time.ms += 1000
    },
    async token(scope, authorization = ann) {
      const answer = await self.get(`/token?service=holdfast&scope=${encodeURIComponent(scope)}`, authorization)
      if (answer.status !== 200) throw new Error(`GET /token: ${answer.status} ${answer.body}`)
      return jsonOf<{ token: string }>(answer).token
    },
    passSeconds: (seconds) => void (time.ms += seconds * 1000),
    now: () => time.ms,
  }
  return self
}

export function jsonOf<T = Record<string, unknown>>({ body }: Pick<Answer, 'body'>): T {
  return JSON.parse(body.toString()) as T
}

/** What a token says, unverified. */
export function claimsOf(token: string): Record<string, unknown> & { access: Scope[] } {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
}

export function headerOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())
}

interface Scope {
  type: string
  name: string
  actions: string[]
  class?: string
}
