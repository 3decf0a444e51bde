import type { Principal } from '../auth/types.ts'
import { type Operation, pageQuery } from './operation.ts'
import { jsonSchemaOf, type Schema } from './schema.ts'

const security = [{ token: [] }, { password: [] }]
const stranger: Principal = { kind: 'anonymous', address: '' }

/** OpenAPI 3.1 of the operations there are. */
export function openApiOf(operations: Operation[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)\+?/g, '{$1}') || '/'
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(operation) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast', version: '1', description: 'The management API of a Holdfast registry.' },
    servers: [{ url: '/api/v1' }],
    security,
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An access token: holdfast_pat_… or holdfast_rob_….' },
        password: { type: 'http', scheme: 'basic' },
      },
      responses: {
        Problem: {
          description: 'A problem (RFC 9457).',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status', 'detail', 'requestId'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            requestId: { type: 'string' },
            errors: {
              type: 'array',
              items: {
                type: 'object',
                properties: { pointer: { type: 'string' }, detail: { type: 'string' } },
              },
            },
          },
        },
      },
    },
  }
}

function describe(operation: Operation): Record<string, unknown> {
  const { path, method, summary, query, body, replies } = operation
  const inPath = [...path.matchAll(/:(\w+)(\+?)/g)].map(([, name, many]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(many && { description: 'A slash may stand as it is, or as %2F.' }),
  }))
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/\/:?-?(\w?)/g, (_, letter: string) => letter.toUpperCase()).replaceAll(/[^\w]/g, '')}`,
    summary,
    ...(isForStrangers(operation) && { security: [{}, ...security] }),
    parameters: [...inPath, ...queryParameters(query), ...(method === 'POST' ? [idempotencyKey] : [])],
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema: jsonSchemaOf(body) } } } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(replies).map(([status, description]) => [
          status,
          describeReply(description, Number(status), query === pageQuery ? pageSchema : {}),
        ]),
      ),
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

function describeReply(description: string, status: number, schema: object): Record<string, unknown> {
  return status === 204 ? { description } : { description, content: { 'application/json': { schema } } }
}

/** Whether somebody without a sign-in may get an answer: what is for all, and of repositories what is public. */
function isForStrangers({ access, path }: Operation): boolean {
  const params = Object.fromEntries([...path.matchAll(/:(\w+)/g)].map(([, name]) => [name, 'a']))
  return access(params, stranger).every(({ type, action }) => type === 'repository' && action === 'pull')
}

const pageSchema = {
  type: 'object',
  required: ['items'],
  properties: { items: { type: 'array', items: { type: 'object' } }, next: { type: 'string' } },
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'With the same key the same answer is given again for a day.',
  schema: { type: 'string', minLength: 16, maxLength: 255 },
}

function queryParameters(query: Schema | undefined) {
  if (!query) return []
  const { properties, required } = jsonSchemaOf(query) as { properties: Record<string, unknown>; required: string[] }
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }))
}
