import { administrator, type Operation, expectMatch, operation, page, pageQuery } from '../../../api/operation.ts'
import { anything, object, text } from '../../../api/schema.ts'
import { isPartName } from '../../../identity/names.ts'
import { parsePolicy } from '../../../identity/policy.ts'
import { unknownWord } from '../../../identity/policy-words.ts'
import type { PolicyText } from '../../../metadata/account-facts.ts'
import { type Deps, edit, found, invalid, timeOf } from './deps.ts'

const showPolicy = ({ name, namespace, document, createdAt }: PolicyText) => ({
  name,
  namespace,
  document: JSON.parse(document) as unknown,
  createdAt: timeOf(createdAt),
})

/** Policies in the form of IAM, about one namespace or about all. */
export function policyOperations(deps: Deps): Operation[] {
  const { facts, clock } = deps
  return [
    operation({
      method: 'GET',
      path: '/policies',
      summary: 'List policies',
      access: administrator,
      query: pageQuery,
      handle: async ({ query }) =>
        page(
          query,
          (part) => facts.list('policy', {}, part),
          ({ name }) => [name],
          showPolicy,
        ),
    }),

    operation({
      method: 'GET',
      path: '/policies/:name',
      summary: 'Show a policy',
      access: administrator,
      handle: async ({ params: { name } }) => ({
        body: showPolicy(found(await facts.find('policy', { name }), `policy ${name}`)),
      }),
    }),

    operation({
      method: 'PUT',
      path: '/policies/:name',
      summary: 'Create a policy, or change one that was read (If-Match)',
      access: administrator,
      body: object({ document: anything }, { namespace: text({ max: 64 }) }),
      replies: { 200: 'Changed.', 201: 'Created.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { name } = call.params
          if (!isPartName(name))
            throw invalid('/name', 'expected small letters and digits with "_" or "-" between them')
          const present = await facts.find('policy', { name })
          expectMatch(call.request, present && showPolicy(present), { mustSee: true })
          const namespace = call.body.namespace ?? present?.namespace ?? ''
          if (namespace !== '') found(await facts.find('account', { name: namespace }), `namespace ${namespace}`)
          const document = JSON.stringify(call.body.document)
          try {
            parsePolicy(name, namespace, document)
          } catch (error) {
            throw invalid('/document', (error as Error).message)
          }
          const unknown = unknownWord(call.body.document)
          if (unknown !== undefined) throw invalid('/document', unknown)
          const next = { name, namespace, document, createdAt: present?.createdAt ?? clock.now().getTime() }
          return {
            changes: [{ table: 'policy', put: next }],
            action: present ? 'policy.changed' : 'policy.created',
            target: name,
            detail: { namespace, document: call.body.document },
            answer: { status: present ? 200 : 201, body: showPolicy(next) },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/policies/:name',
      summary: 'Delete a policy',
      access: administrator,
      replies: { 204: 'Deleted.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { name } = call.params
          const present = found(await facts.find('policy', { name }), `policy ${name}`)
          expectMatch(call.request, showPolicy(present))
          return {
            changes: [{ table: 'policy', remove: { name } }],
            action: 'policy.deleted',
            target: name,
            answer: {},
          }
        }),
    }),
  ]
}
