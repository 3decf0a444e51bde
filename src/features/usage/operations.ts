import { administrator, type Operation, operation } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { object, text } from '../../api/schema.ts'
import type { Access } from '../../auth/types.ts'
import { isRepository, parseReference } from '../../oci/reference.ts'
import type { StoredManifest } from '../../registry/ports/metadata.ts'
import type { Platform } from '../feature.ts'
import { expectRepository } from '../known.ts'
import { createDownloads, largestOf } from './downloads.ts'

const toPull = ({ repository }: { repository: string }): Access[] => {
  if (!isRepository(repository)) throw new Problem('not-found', 'there is no such repository')
  return [{ type: 'repository', name: repository, action: 'pull' }]
}

/** Sizes of images, repositories, organizations and of all. */
export function usageOperations({ metadata, sizes, accounts, configuration }: Platform): Operation[] {
  const downloads = createDownloads(metadata, sizes)

  async function show(repository: string, manifest: StoredManifest) {
    const [found, of] = [await sizes.image(repository, manifest.digest), await downloads(repository, manifest)]
    return {
      ...{ digest: manifest.digest, mediaType: manifest.mediaType },
      ...largestOf(of),
      sizeStored: found?.stored ?? 0,
      sizeExclusive: found?.exclusive ?? 0,
      ...(of.some(({ platform }) => platform !== undefined) && { platforms: of }),
    }
  }

  return [
    operation({
      method: 'GET',
      path: '/repos/:repository+/-/images/:image',
      summary: 'Show an image, by tag or digest, with its sizes',
      access: toPull,
      async handle({ params: { repository, image } }) {
        const found = await metadata.manifests.find(repository, parseReference(image, 'MANIFEST_UNKNOWN'))
        if (!found) throw new Problem('not-found', `there is no image ${image} in ${repository}`)
        return { body: await show(repository, found) }
      },
    }),

    operation({
      method: 'GET',
      path: '/repos/:repository+/-/usage',
      summary: 'Tell how many bytes a repository holds',
      access: toPull,
      async handle({ params: { repository } }) {
        await expectRepository(metadata, repository)
        const { stored, exclusive } = await sizes.repository(repository)
        return { body: { name: repository, sizeStored: stored, sizeExclusive: exclusive } }
      },
    }),

    operation({
      method: 'GET',
      path: '/usage',
      summary: 'Tell how many bytes there are, of each organization and repository',
      access: administrator,
      query: object({}, { within: text({ max: 255 }) }),
      async handle({ query: { within } }) {
        const names = await sizes.repositories(within)
        if (names.length === 0 && within !== undefined && !(await accounts.find('account', { name: within })))
          throw new Problem('not-found', `there is no organization and no repository ${within}`)
        const repositories = []
        const organizations = new Map<string, number>()
        for (const name of names) {
          const { stored, first, exclusive } = await sizes.repository(name)
          const organization = name.split('/')[0]!
          organizations.set(organization, (organizations.get(organization) ?? 0) + first)
          repositories.push({ name, sizeStored: stored, sizeExclusive: exclusive })
        }
        const { blobs, manifests } = await sizes.all()
        return {
          body: {
            // Manifests lie in the database, and in the tree for registry:2.
            sizeStored: blobs + (configuration.storage.followTree ? manifests : 0),
            organizations: Array.from(organizations, ([name, sizeStored]) => ({ name, sizeStored })),
            repositories,
          },
        }
      },
    }),
  ]
}
