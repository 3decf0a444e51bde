import type { Dialect } from './dialect.ts'

// What reads and commands of the collector ask alike.

/** Of a row of `manifest`: no index or subject keeps it. */
export const isUnattached = `
  not exists (
    select 1 from reference join manifest as parent on parent.id = reference.manifest_id
    where reference.repository_id = manifest.repository_id and reference.digest = manifest.digest
      and parent.trashed_at is null)
  and not exists (
    select 1 from manifest as target where target.repository_id = manifest.repository_id
      and target.digest = manifest.subject and target.trashed_at is null)`

/** The same, and no tag either. */
export const isLoose = `
  not exists (select 1 from tag where tag.repository_id = manifest.repository_id and tag.digest = manifest.digest)
  and ${isUnattached}`

/** Which of the texts of a parameter name nothing that is known. */
export const unknown = (textsOf: Dialect['textsOf']) => `
  select value from ${textsOf('?1')} where not exists (select 1 from blob where digest = value)
    and not exists (select 1 from manifest where digest = value)
    and not exists (select 1 from doomed where digest = value and state <> 'deleted')`

/** Whether a backup is under way that may name bytes which are condemned only now: see `backup/hold.ts`. */
export const heldByBackup = (now: string) => `exists (select 1 from vault where kind = 'backup' and ends_at > ${now})`
