import { administrator, type Operation, expectMatch, operation } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { anything } from '../../api/schema.ts'
import type { Access } from '../../auth/types.ts'
import type { RuleSet } from '../../metadata/account-facts.ts'
import { isRepository } from '../../oci/reference.ts'
import { parseImmutability } from '../../rules/immutability.ts'
import { parseRetention } from '../../rules/retention-document.ts'
import { edit } from '../edit.ts'
import type { Platform } from '../feature.ts'

const parsers = { immutability: parseImmutability, retention: parseRetention } as const

const show = ({ kind, scope, document, changedAt }: RuleSet) => ({
  kind,
  scope,
  document: JSON.parse(document) as unknown,
  changedAt: new Date(changedAt).toISOString(),
})

/** Where documents of rules lie, whom they are for, and what one needs for them. */
const places = [
  { path: '/rules/:kind', of: 'all repositories', scopeOf: () => '*', read: administrator, change: administrator },
  {
    path: '/orgs/:org/rules/:kind',
    of: 'the repositories of a namespace',
    scopeOf: ({ org }: Record<string, string>) => `${org}/*`,
    read: ({ org = '' }: Record<string, string>): Access[] => [{ type: 'organization', name: org, action: 'read' }],
    change: ({ org = '' }: Record<string, string>): Access[] => [{ type: 'organization', name: org, action: 'admin' }],
  },
  {
    path: '/repos/:repository+/-/rules/:kind',
    of: 'a repository',
    scopeOf: ({ repository = '' }: Record<string, string>) => repository,
    read: inRepository('pull'),
    change: inRepository('admin'),
  },
] as const

function inRepository(action: 'pull' | 'admin') {
  return ({ repository = '' }: Record<string, string>): Access[] => {
    if (!isRepository(repository)) throw new Problem('not-found', 'there is no such repository')
    return [{ type: 'repository', name: repository, action }]
  }
}

/** Documents of rules: what tags keep, and which go after a while. */
export function ruleOperations({ accounts: facts, clock }: Pick<Platform, 'accounts' | 'clock'>): Operation[] {
  const find = (kind: RuleSet['kind'], scope: string) => facts.find('rule_set', { kind, scope })

  const list = operation({
    method: 'GET',
    path: '/rules',
    summary: 'List all documents of rules',
    access: administrator,
    handle: async () => ({ body: { items: (await facts.list('rule_set', {})).map(show) } }),
  })

  return [list, ...places.flatMap(operationsAt)]

  function operationsAt({ path, of, scopeOf, read, change }: (typeof places)[number]): Operation[] {
    return [
      operation({
        method: 'GET',
        path,
        summary: `Show the rules (immutability or retention) that were set for ${of}`,
        access: read,
        async handle({ params }) {
          const kind = kindOf(params.kind)
          const present = await find(kind, scopeOf(params))
          if (!present) throw new Problem('not-found', `there are no ${kind} rules of ${scopeOf(params)}`)
          return { body: show(present) }
        },
      }),

      operation({
        method: 'PUT',
        path,
        summary: `Set the rules for ${of}: a document of ours, or Amazon's mutability or lifecycle policy (If-Match)`,
        access: change,
        body: anything,
        replies: { 200: 'Changed.', 201: 'Created.' },
        handle: async (call) =>
          edit({ facts }, call, async () => {
            const [kind, scope] = [kindOf(call.params.kind), scopeOf(call.params)]
            const present = await find(kind, scope)
            expectMatch(call.request, present && show(present), { mustSee: true })
            try {
              parsers[kind](call.body, scope)
            } catch (error) {
              const [, pointer = ''] = /^(\/\S*): /.exec((error as Error).message) ?? []
              const detail = (error as Error).message
              throw new Problem('invalid', detail, { errors: [{ pointer, detail }] })
            }
            const next: RuleSet = { kind, scope, document: JSON.stringify(call.body), changedAt: clock.now().getTime() }
            return {
              changes: [{ table: 'rule_set', put: next }],
              action: present ? 'rules.changed' : 'rules.created',
              target: scope,
              detail: { kind, document: call.body },
              answer: { status: present ? 200 : 201, body: show(next) },
            }
          }),
      }),

      operation({
        method: 'DELETE',
        path,
        summary: `Delete the rules for ${of}`,
        access: change,
        replies: { 204: 'Deleted.' },
        handle: async (call) =>
          edit({ facts }, call, async () => {
            const [kind, scope] = [kindOf(call.params.kind), scopeOf(call.params)]
            const present = await find(kind, scope)
            if (!present) throw new Problem('not-found', `there are no ${kind} rules of ${scope}`)
            expectMatch(call.request, show(present))
            return {
              changes: [{ table: 'rule_set', remove: { kind, scope } }],
              action: 'rules.deleted',
              target: scope,
              detail: { kind },
              answer: {},
            }
          }),
      }),
    ]
  }
}

/** @throws Problem not-found */
function kindOf(text: string): RuleSet['kind'] {
  if (text === 'immutability' || text === 'retention') return text
  throw new Problem('not-found', `${JSON.stringify(text)} is no kind of rules: expected immutability or retention`)
}
