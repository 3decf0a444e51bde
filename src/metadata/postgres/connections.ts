import { setTimeout } from 'node:timers/promises'
import { DatabaseError, Pool, type PoolClient, type QueryConfig, types } from 'pg'
import type { Row, Statement, Steps, Value } from '../sql/statement.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'

/** The most connections of a node. */
const most = 10
/** What the connections of a node that serves are called at the server. */
export const nodeName = 'holdfast'
/** So long a connection may take to come, a statement to run, and a transaction to be left alone by a node that hangs. */
const [connectMs, statementMs, idleMs] = [5000, 15_000, 15_000]
/** How long the server may take to say goodbye. */
const closeMs = 2000
/** How often a transaction is tried when others are in its way. */
const attempts = 10

/** A connection. */
export type Client = PoolClient
export type Connections = ReturnType<typeof createConnections>

/**
 * Connections to a PostgreSQL server, some of them and for as long as they are good: one that failed is never used again, so
 * that what it held is let go by the server. Errors that may pass bear the code `EAGAIN`, a full disk `ENOSPC`.
 */
export function createConnections(url: string, use: 'serving' | 'upkeep') {
  const pool = new Pool({
    connectionString: url,
    max: use === 'serving' ? most : 1,
    min: 1, // so that it can be seen at the server that the database is in use
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: 30_000,
    ...(use === 'serving' && {
      statement_timeout: statementMs,
      query_timeout: statementMs + 5000, // for a server that says nothing at all
      idle_in_transaction_session_timeout: idleMs,
    }),
    keepAlive: true,
    application_name: use === 'serving' ? nodeName : 'holdfast db',
    types: { getTypeParser },
  })
  // A connection that breaks is told of by its query, if it has one; the next is made anew.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const texts = new Map<string, QueryConfig>()

  /** Statements with parameters are prepared under a name, once a connection. */
  function queryOf({ text, values }: Statement): QueryConfig {
    if (values.length === 0) return { text }
    let known = texts.get(text)
    if (!known) texts.set(text, (known = { name: `holdfast_${texts.size}`, text: text.replaceAll(/\?(\d)/g, '$$$1') }))
    return { ...known, values: values.map(toParameter) }
  }

  /** Gives a connection to `work`, and makes away with it when that fails. */
  async function withConnection<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    let client: Client | undefined
    try {
      client = await pool.connect().catch(rethrow)
      const result = await work(client)
      client.release()
      return result
    } catch (error) {
      client?.release(true)
      throw error
    }
  }

  async function take<Result>(client: Client, steps: Steps<Result>, onStatement?: (statement: Statement) => void) {
    let step = steps.next()
    while (!step.done) {
      onStatement?.(step.value)
      step = steps.next(await ask(client, queryOf(step.value)))
    }
    return step.value
  }

  async function transactOnce<Result>(steps: Steps<Result>) {
    const events: RegistryEvent[] = []
    const value = await withConnection(async (client) => {
      // Durable also where the server's settings would have it otherwise.
      await ask(client, { text: 'begin isolation level read committed; set local synchronous_commit = on' })
      const result = await take(client, steps, (statement) => events.push(...(statement.events ?? [])))
      await ask(client, { text: 'commit' })
      return result
    })
    return { value, events }
  }

  return {
    /** Takes the steps of a read. */
    read: <Result>(steps: Steps<Result>): Promise<Result> => withConnection((client) => take(client, steps)),

    /** Takes the steps as one transaction, again where others were in its way; gives the events it recorded as well. */
    async transact<Result>(steps: () => Steps<Result>): Promise<{ value: Result; events: RegistryEvent[] }> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transactOnce(steps())
        } catch (error) {
          if (attempt === attempts || !isInTheWay(error)) throw error
          await setTimeout(attempt * 5)
        }
      }
    },

    /** One connection for work of another kind, in statements of PostgreSQL's own. */
    withConnection,
    /** A statement on such a connection. */
    execute: (client: Client, statement: Statement) => ask(client, queryOf(statement)),
    async close(): Promise<void> {
      const ended = new AbortController()
      await Promise.race([
        pool.end().finally(() => ended.abort()),
        setTimeout(closeMs, undefined, { signal: ended.signal }).catch(() => {}), // a server that hangs says no goodbye
      ])
    },
  }
}

/** The server gives 64-bit numbers as texts; ours fit. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  return oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format as 'text')
}

/** PostgreSQL's texts cannot hold the character 0; the next one sorts alike. */
function toParameter(value: Value | Value[]): unknown {
  if (Array.isArray(value)) return value.map(toParameter)
  return typeof value === 'string' ? value.replaceAll('\0', '\u0001') : value
}

/** Serialization, deadlock, and a row that came or went at the same moment. */
function isInTheWay(error: unknown): boolean {
  const { cause } = error as { cause?: unknown }
  return cause instanceof DatabaseError && ['40001', '40P01', '23503', '23505'].includes(cause.code ?? '')
}

/** The server's classes of errors that an operator's doing or time mends, above all: it is going, coming or full of connections. */
const passing = /^(08|28|3D|53|57|25P03|25006)/
const diskFull = '53100'

async function ask(client: Client, query: QueryConfig): Promise<Row[]> {
  return (await client.query<Row>(query).catch(rethrow)).rows
}

function rethrow(cause: unknown): never {
  throw withCode(cause)
}

/** The error in our words, with a code the rest of the program knows. */
function withCode(cause: unknown): Error {
  const state = cause instanceof DatabaseError ? (cause.code ?? '') : undefined
  // What is not the server's word is the connection's end.
  const code = state === undefined || passing.test(state) ? 'EAGAIN' : undefined
  const error = new Error(`The database refused: ${messageOf(cause)}`, { cause })
  return code ? Object.assign(error, { code: state === diskFull ? 'ENOSPC' : code }) : error
}

/** Node reports a host of several addresses that all refuse by one error without a message. */
export function messageOf(cause: unknown): string {
  const { message, code, errors } = cause as { message?: string; code?: string; errors?: Error[] }
  return message || errors?.map((error) => error.message).join(', ') || code || String(cause)
}
