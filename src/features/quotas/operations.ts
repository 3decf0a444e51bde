import { administrator, type Operation, operation } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { object, whole } from '../../api/schema.ts'
import { limitOf } from '../../rules/quotas.ts'
import type { Platform } from '../feature.ts'
import { isRepository } from '../../oci/reference.ts'

const usualSoft = 80

/** Quotas of organizations (`acme`) and repositories (`acme/app`). */
export function quotaOperations({ quotas, configuration }: Platform): Operation[] {
  async function find(scope: string) {
    const found = await quotas.find(scope)
    if (found) return { body: found }
    throw new Problem('not-found', `there is no quota on ${scope}`)
  }

  return [
    operation({
      method: 'GET',
      path: '/quotas',
      summary: 'List quotas: limit, soft limit in percent, and bytes used',
      access: administrator,
      handle: async () => ({ body: { items: await quotas.list() } }),
    }),

    operation({
      method: 'GET',
      path: '/quotas/:repository+',
      summary: 'Show the quota of an organization or a repository',
      access: administrator,
      handle: ({ params: { repository } }) => find(repository),
    }),

    operation({
      method: 'PUT',
      path: '/quotas/:repository+',
      summary: 'Limit what an organization or a repository stores, in bytes; `soft` percent of it are warned about',
      access: administrator,
      body: object({ limit: whole(0, Number.MAX_SAFE_INTEGER) }, { soft: whole(1, 100) }),
      async handle({ params: { repository: scope }, body: { limit, soft = usualSoft } }) {
        if (!isRepository(scope)) throw new Problem('invalid', `${scope} can be no organization and no repository`)
        await quotas.set({ scope, limit, soft, isConfigured: false })
        return find(scope)
      },
    }),

    operation({
      method: 'DELETE',
      path: '/quotas/:repository+',
      summary: 'Take a limit away; where the configuration has one, that holds again',
      access: administrator,
      replies: { 204: 'Done.' },
      async handle({ params: { repository } }) {
        if ((await quotas.find(repository))?.isConfigured)
          throw new Problem(
            'conflict',
            `the quota on ${repository} is one of the configuration: change it there, or set another`,
          )
        if (!(await quotas.remove(repository))) throw new Problem('not-found', `there is no quota on ${repository}`)
        const before = limitOf(configuration.quotas, repository) // which it stood before
        if (before) await quotas.set({ ...before, isConfigured: true })
        return { status: 204 }
      },
    }),
  ]
}
