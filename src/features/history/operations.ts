import { type Call, type Operation, limitOf, operation, page, pageFields, pageQuery } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { moment, object, text } from '../../api/schema.ts'
import type { Access } from '../../auth/types.ts'
import type { Trashed } from '../../metadata/history-facts.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { isRepository, parseReference } from '../../oci/reference.ts'
import type { Actor } from '../../registry/ports/events.ts'
import { recordAct } from '../edit.ts'
import type { Platform } from '../feature.ts'
import { expectRepository } from '../known.ts'
import { createRestore } from './restore.ts'

const as =
  (...actions: ('pull' | 'push' | 'delete')[]) =>
  ({ repository }: { repository: string }): Access[] => {
    if (!isRepository(repository)) throw new Problem('not-found', 'there is no such repository')
    return actions.map((action) => ({ type: 'repository', name: repository, action }))
  }

/** @throws Problem when it is none of a journal */
function placeIn(place: string): { at: Date; tag: string } {
  const [, at, tag] = /^(\d{1,16}) (\S+)$/.exec(place) ?? []
  if (!at || !tag) throw new Problem('bad-request', 'the cursor is none of this list')
  return { at: new Date(Number(at)), tag }
}

/** History of tags, the trash, and the way back. */
export function historyOperations({ configuration, metadata, history, sizes, accounts }: Platform): Operation[] {
  const restore = createRestore({ metadata, history })

  function journalOf(
    repository: string,
    { before, ...query }: { [key in 'limit' | 'before' | 'cursor']: string | undefined },
  ) {
    const from = before ? { at: new Date(before), tag: '' } : undefined
    return page(
      query,
      ({ limit, last }) => history.journal(repository, { limit, before: last ? placeIn(last[0]!) : from }),
      ({ at, tag }) => [`${at.getTime()} ${tag}`],
      (move) => ({ ...move, digest: move.digest ?? null }),
    )
  }

  return [
    operation({
      method: 'GET',
      path: '/repos/:repository+/-/history',
      summary: 'List every move of a tag, or of all tags, the newest first',
      access: as('pull'),
      query: object({}, { ...pageFields, tag: text({ max: 128 }), before: moment }),
      async handle({ params: { repository }, query: { tag, limit, before, cursor } }) {
        await expectRepository(metadata, repository)
        if (tag === undefined) return journalOf(repository, { limit, before, cursor })
        const most = limitOf({ limit })
        const moves = await history.moves(repository, tag, {
          limit: most,
          before: before ? new Date(before) : undefined,
        })
        if (moves.length === 0 && before === undefined)
          throw new Problem('not-found', `${repository} has no tag ${tag}, and never had`)
        return { body: { items: moves.map((move) => ({ ...move, digest: move.digest ?? null })) } }
      },
    }),

    operation({
      method: 'GET',
      path: '/repos/:repository+/-/tags',
      summary: 'List tags and where they point, or pointed at a moment',
      access: as('pull'),
      query: object({}, { ...pageFields, asOf: moment }),
      async handle({ params: { repository }, query: { asOf, ...query } }) {
        await expectRepository(metadata, repository)
        return page(
          query,
          ({ limit, last }) =>
            history.tagsAsOf(repository, asOf ? new Date(asOf) : new Date(8.64e15), { limit, last: last?.[0] }),
          ({ name }) => [name],
          (tag) => tag,
        )
      },
    }),

    operation({
      method: 'PUT',
      path: '/repos/:repository+/-/tags/:tag',
      summary: 'Point a tag to an image of the repository, also to one in the trash',
      access: as('pull', 'push'),
      body: object({ digest: text({ max: 200 }) }),
      async handle(call) {
        const { repository, tag } = call.params
        const digest = digestOf(call.body.digest)
        if (!/^\w[\w.-]{0,127}$/.test(tag)) throw new Problem('invalid', `${JSON.stringify(tag)} is no tag`)
        await restore.tag(repository, tag, digest, actorOf(call))
        await recordAct(accounts, call, { action: 'tag.restored', target: `${repository}:${tag}`, detail: { digest } })
        return { body: { name: tag, digest } }
      },
    }),

    operation({
      method: 'GET',
      path: '/repos/:repository+/-/trash',
      summary: 'List deleted images that can be restored',
      access: as('pull'),
      query: pageQuery,
      async handle({ params: { repository }, query }) {
        await expectRepository(metadata, repository)
        const withSizes = async (image: Trashed) => {
          const found = await sizes.image(repository, image.digest)
          return { ...image, sizeStored: found?.stored ?? 0, sizeExclusive: found?.exclusive ?? 0 }
        }
        return page(
          query,
          async ({ limit, last }) => {
            const found = await history.trash(repository, { limit, last: last?.[0] })
            return Promise.all(found.map(withSizes))
          },
          ({ digest }) => [digest],
          ({ at, ...image }) => ({
            ...image,
            at,
            endsAt: new Date(at.getTime() + configuration.trash.keepMs),
          }),
        )
      },
    }),

    operation({
      method: 'DELETE',
      path: '/repos/:repository+/-/images/:image',
      summary: 'Move an image, by tag or digest, to the trash; tells the tags it takes along',
      access: as('delete'),
      async handle(call) {
        const { repository, image } = call.params
        if (!configuration.storage.delete)
          throw new Problem(
            'forbidden',
            'deleting is switched off: the operator can allow it with storage.delete.enabled',
          )
        const found = await metadata.manifests.find(repository, parseReference(image, 'MANIFEST_UNKNOWN'))
        const tags = found && (await metadata.manifests.delete(repository, found.digest, actorOf(call)))
        if (!found || !tags) throw new Problem('not-found', `there is no image ${image} in ${repository}`)
        const target = `${repository}@${found.digest}`
        await recordAct(accounts, call, { action: 'image.deleted', target, detail: { tags } })
        return { body: { digest: found.digest, tags } }
      },
    }),

    operation({
      method: 'POST',
      path: '/repos/:repository+/-/images/:image',
      summary: 'With `DIGEST:restore`: take an image out of the trash, with those of its tags that are free',
      access: as('push'),
      async handle(call) {
        const { repository, image } = call.params
        if (!image.endsWith(':restore')) throw new Problem('not-found', 'expected images/DIGEST:restore')
        const digest = digestOf(image.slice(0, -':restore'.length))
        const restored = await restore.image(repository, digest, actorOf(call))
        const target = `${repository}@${digest}`
        await recordAct(accounts, call, { action: 'image.restored', target, detail: restored })
        return { body: { digest, ...restored } }
      },
    }),
  ]
}

/** @throws Problem invalid */
function digestOf(given: string): Digest {
  if (isDigest(given)) return given
  throw new Problem('invalid', `${JSON.stringify(given)} is no digest: expected sha256: or sha512: and its digits`)
}

function actorOf({ principal, request }: Pick<Call<unknown, unknown, unknown>, 'principal' | 'request'>): Actor {
  const name = principal.kind === 'anonymous' ? '' : principal.name
  return { name, address: principal.address, method: request.method, host: request.headers.host }
}
