import { Problem } from '../api/problem.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'

/** @throws Problem not-found where nothing was ever pushed to the repository */
export async function expectRepository({ tags }: Pick<MetadataStore, 'tags'>, repository: string): Promise<void> {
  if ((await tags.list(repository, { limit: 1 })) === undefined)
    throw new Problem('not-found', 'there is no such repository')
}
