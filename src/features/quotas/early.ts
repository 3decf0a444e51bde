import { lengthOf } from '../../http/body.ts'
import type { HttpRequest, Route } from '../../http/types.ts'
import { type Quota, refusalOf } from '../../metadata/quota-facts.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { limitsOn } from '../../rules/quotas.ts'
import type { Platform } from '../feature.ts'

/** That there is no quota is believed for so long: what this refuses too late is refused with the manifest. */
const believedMs = 5000

/**
 * Refuses a blob whose length alone says that it cannot fit, before its bytes come: where its digest is known, because what the scope holds
 * costs nothing. Whoever is not limited is asked nothing.
 */
export function createEarlyRefusal({ quotas, configuration }: Pick<Platform, 'quotas' | 'configuration'>) {
  const rules = configuration.quotas
  let noneUntil = 0

  async function isNone(): Promise<boolean> {
    if (rules.length > 0) return false
    if (performance.now() < noneUntil) return true
    if ((await quotas.list()).length > 0) return false
    noneUntil = performance.now() + believedMs
    return true
  }

  /** Those that do not hold the blob yet, also of the configuration for what is not there yet. */
  async function lacking(repository: string, digest: Digest): Promise<Quota[]> {
    const found = await quotas.lacking(repository, digest)
    for (const limit of limitsOn(rules, repository))
      if (!found.some(({ scope }) => scope === limit.scope) && !(await quotas.find(limit.scope)))
        found.push({ ...limit, used: 0, isConfigured: true })
    return found
  }

  async function expectRoom({ params, query, headers }: HttpRequest): Promise<void> {
    const digest = query.get('digest')
    if (!digest || !isDigest(digest) || query.has('mount') || (await isNone())) return
    const needed = lengthOf(headers) ?? 0
    for (const quota of await lacking(params.repository!, digest))
      if (quota.used >= quota.limit || quota.used + needed > quota.limit)
        throw new OciError('DENIED', { status: 403, ...refusalOf(quota, needed, 'this blob') })
  }

  return (route: Route): Route => {
    const isUpload = route.pattern.startsWith('/v2/:repository+/blobs/uploads')
    if (!isUpload || !['POST', 'PUT'].some((method) => route.methods.includes(method))) return route
    return {
      ...route,
      async handle(request) {
        await expectRoom(request)
        return route.handle(request)
      },
    }
  }
}
