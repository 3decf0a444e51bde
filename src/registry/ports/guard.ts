import type { Principal } from '../../auth/types.ts'
import type { Digest } from '../../oci/digest.ts'
import type { ContentReference, Manifest } from '../../oci/manifest.ts'
import type { Reference } from '../../oci/reference.ts'

/** Asked before something happens; says no by throwing an OciError. The order of the list is the order they are asked in. */
export interface Guard {
  beforeUpload?(upload: { repository: string; principal: Principal }): Promise<void>
  beforePush?(push: {
    repository: string
    tags: string[]
    digest: Digest
    manifest: Manifest
    principal: Principal
  }): Promise<void>
  /** Whether a manifest is taken also while this part of it is not there. */
  mayMiss?(reference: ContentReference): boolean
  beforePull?(pull: { repository: string; reference: Reference; principal: Principal }): Promise<void>
  beforeDelete?(deletion: {
    repository: string
    target: Reference | { blob: Digest }
    principal: Principal
  }): Promise<void>
}

/** Asks the guards that care about `moment`, one after the other. */
export async function ask<M extends Exclude<keyof Guard, 'mayMiss'>>(
  guards: Guard[],
  moment: M,
  about: Parameters<NonNullable<Guard[M]>>[0],
): Promise<void> {
  for (const guard of guards) await (guard[moment] as ((about: unknown) => Promise<void>) | undefined)?.(about)
}
