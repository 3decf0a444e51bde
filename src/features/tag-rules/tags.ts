import { type Operation, operation } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { flag, moment, object, text } from '../../api/schema.ts'
import type { Access } from '../../auth/types.ts'
import type { TagLock } from '../../metadata/account-facts.ts'
import { byLabel } from '../../metadata/rule-facts.ts'
import { isRepository } from '../../oci/reference.ts'
import { parseSpan } from '../../rules/span.ts'
import { edit, recordAct } from '../edit.ts'
import type { Platform } from '../feature.ts'

interface Deps extends Pick<Platform, 'accounts' | 'rules' | 'clock'> {
  mayDelete: boolean
}

const as =
  (...actions: ('pull' | 'push' | 'delete')[]) =>
  ({ repository }: { repository: string }): Access[] => {
    if (!isRepository(repository)) throw new Problem('not-found', 'there is no such repository')
    return actions.map((action) => ({ type: 'repository', name: repository, action }))
  }

const showLock = ({ isFixed, isKept, lockedBy, lockedAt }: TagLock) => ({
  overwrite: isFixed ? 'deny' : 'allow',
  delete: isKept ? 'deny' : 'allow',
  by: lockedBy,
  at: new Date(lockedAt).toISOString(),
})

type Tag = Record<'repository' | 'tag', string>

/** Locks of single tags, and when they go by themselves. Both need who may push and delete. */
export function tagOperations({ accounts: facts, rules, clock, mayDelete }: Deps): Operation[] {
  async function show({ repository, tag }: Tag) {
    const state = await rules.tag(repository, tag)
    if (!state) throw new Problem('not-found', `there is no tag ${tag} in ${repository}`)
    const lock = await facts.find('tag_lock', { repository, tag })
    const { digest, movedAt, expiresAt, expiresBy } = state
    return {
      name: tag,
      digest,
      movedAt: new Date(movedAt).toISOString(),
      lock: lock ? showLock(lock) : null,
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      ...(expiresAt !== undefined && { expiresBy: expiresBy === byLabel ? 'label' : expiresBy }),
    }
  }

  return [
    operation({
      method: 'GET',
      path: '/repos/:repository+/-/tags/:tag',
      summary: 'Show a tag, its lock, and when it goes by itself',
      access: as('pull'),
      handle: async ({ params }) => ({ body: await show(params) }),
    }),

    operation({
      method: 'PUT',
      path: '/repos/:repository+/-/tags/:tag/lock',
      summary: 'Lock a tag: against being moved, being deleted, or (by default) both',
      access: as('pull', 'push', 'delete'),
      body: object({}, { overwrite: flag, delete: flag }),
      handle: async (call) =>
        edit({ facts }, call, async () => {
          const { repository, tag } = call.params
          await show(call.params) // a name nobody has pushed is not reserved
          const { overwrite: isFixed = true, delete: isKept = true } = call.body
          if (!isFixed && !isKept) throw new Problem('invalid', 'lock it against one of overwrite and delete at least')
          const lockedBy = call.principal.kind === 'anonymous' ? '' : call.principal.name
          const lock = { repository, tag, isFixed, isKept, lockedBy, lockedAt: clock.now().getTime() }
          return {
            changes: [{ table: 'tag_lock', put: lock }],
            action: 'tag.locked',
            target: `${repository}:${tag}`,
            detail: { overwrite: isFixed, delete: isKept },
            answer: { body: { name: tag, lock: showLock(lock) } },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/repos/:repository+/-/tags/:tag/lock',
      summary: 'Unlock a tag',
      access: as('pull', 'push', 'delete'),
      replies: { 204: 'Unlocked.' },
      handle: async (call) =>
        edit({ facts }, call, async () => {
          const { repository, tag } = call.params
          if (!(await facts.find('tag_lock', { repository, tag })))
            throw new Problem('not-found', `${repository}:${tag} is not locked`)
          return {
            changes: [{ table: 'tag_lock', remove: { repository, tag } }],
            action: 'tag.unlocked',
            target: `${repository}:${tag}`,
            answer: {},
          }
        }),
    }),

    operation({
      method: 'PUT',
      path: '/repos/:repository+/-/tags/:tag/expiry',
      summary: 'Let a tag go by itself: `at` a moment, `in` a span such as 14d, or with neither never',
      access: as('pull', 'push', 'delete'),
      body: object({}, { at: moment, in: text({ max: 20 }) }),
      async handle(call) {
        const { repository, tag } = call.params
        const { at: given, in: span } = call.body
        const at = momentOf(given, span, clock.now().getTime())
        if (at !== undefined && !mayDelete)
          throw new Problem('forbidden', 'deleting is switched off: tags do not go by themselves here')
        const by = call.principal.kind === 'anonymous' ? '' : call.principal.name
        if (!(await rules.setExpiry(repository, tag, { at, by })))
          throw new Problem('not-found', `there is no tag ${tag} in ${repository}`)
        const detail = { at: at === undefined ? 'never' : new Date(at).toISOString() }
        await recordAct(facts, call, { action: 'tag.expiry-set', target: `${repository}:${tag}`, detail })
        return { body: await show(call.params) }
      },
    }),
  ]
}

/** @throws Problem invalid */
function momentOf(at: string | undefined, span: string | undefined, now: number): number | undefined {
  if (at !== undefined && span !== undefined) throw new Problem('invalid', 'expected one of at and in')
  if (at !== undefined) {
    const moment = Date.parse(at)
    if (moment > now) return moment
    throw new Problem('invalid', '/at: that moment is over: expected one to come')
  }
  if (span === undefined) return undefined
  const ms = parseSpan(span)
  if (ms === undefined) throw new Problem('invalid', '/in: expected a span such as 90m, 14d or 3w, up to ten years')
  return now + ms
}
