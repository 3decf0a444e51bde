import { OciError } from '../../oci/errors.ts'
import type { ContentReference } from '../../oci/manifest.ts'
import type { Guard } from '../../registry/ports/guard.ts'
import type { Feature, Platform } from '../feature.ts'

/** The operator's rules for manifests: where layers may come from, and which children of an index must be there. */
export function manifestRules({ configuration }: Platform): Feature {
  const { urls, indexPlatforms } = configuration.validation
  const guards: Guard[] = []
  if (urls) guards.push({ beforePush: async ({ manifest }) => manifest.urls.forEach((url) => checkUrl(url, urls)) })
  if (indexPlatforms !== 'all') guards.push({ mayMiss: (reference) => !mustBeThere(reference, indexPlatforms) })
  return { name: 'manifest-rules', guards }
}

/** @throws OciError MANIFEST_INVALID; without patterns no URL is allowed, as in registry:2 */
function checkUrl(url: string, { allow, deny }: { allow: RegExp[]; deny: RegExp[] }): void {
  const parsed = URL.parse(url)
  const isPlain = parsed && /^https?:$/.test(parsed.protocol) && !url.includes('#')
  const isAllowed = allow.length > 0 ? allow.some((pattern) => pattern.test(url)) : deny.length > 0
  if (isPlain && isAllowed && !deny.some((pattern) => pattern.test(url))) return
  throw new OciError('MANIFEST_INVALID', {
    message: 'a layer has a URL that this registry does not allow: push the layer itself',
    detail: { url },
  })
}

function mustBeThere(
  { kind, platform }: ContentReference,
  platforms: 'none' | { architecture: string; os: string }[],
): boolean {
  if (kind === 'blob') return true
  if (platforms === 'none') return false
  return (
    !platform || platforms.some(({ architecture, os }) => platform.architecture === architecture && platform.os === os)
  )
}
