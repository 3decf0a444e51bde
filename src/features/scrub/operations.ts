import { randomUUID } from 'node:crypto'
import { administrator, type Operation, operation } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { object, text } from '../../api/schema.ts'
import type { AccountFacts } from '../../metadata/account-facts.ts'
import type { MetadataStore } from '../../registry/ports/metadata.ts'
import type { createAsked } from '../asked.ts'
import { recordAct } from '../edit.ts'
import { expectRepository } from '../known.ts'
import type { Wanted } from './index.ts'

interface Deps {
  asked: ReturnType<typeof createAsked<Wanted>>
  accounts: AccountFacts
  metadata: MetadataStore
}

/** Has blobs read again now. */
export function scrubOperations({ asked, accounts, metadata }: Deps): Operation[] {
  return [
    operation({
      method: 'POST',
      path: '/scrubs',
      summary: 'Read all blobs again now, or those of a repository',
      access: administrator,
      body: object({}, { repository: text({ max: 255 }) }),
      replies: { 202: 'Asked for; `GET /scrubs/ID` tells how far it is. Where one is under way already, that one.' },
      async handle(call) {
        const { repository } = call.body
        if (repository !== undefined) await expectRepository(metadata, repository)
        const wanted = { id: randomUUID(), ...(repository !== undefined && { repository }) }
        const { id } = await asked.ask(wanted)
        await recordAct(accounts, call, { action: 'scrub.asked', target: id, detail: { repository } })
        return { status: 202, body: { id, state: 'waiting' }, headers: { Location: `/api/v1/scrubs/${id}` } }
      },
    }),

    operation({
      method: 'GET',
      path: '/scrubs/:id',
      summary: 'Tell how far the reading is, and what was found',
      access: administrator,
      async handle({ params: { id } }) {
        const state = await asked.stateOf(id)
        if (state) return { body: state }
        throw new Problem('not-found', 'there is no such run; only the last one is remembered')
      },
    }),
  ]
}
