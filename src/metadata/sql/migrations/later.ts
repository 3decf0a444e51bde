import type { Migration } from '../schema.ts'

/** All that came after them; entries are only ever added, at the end. */
export const laterMigrations: Migration[] = [
  ({ text, integer, keyedTable }) => `
  -- the journal: every move of a tag, with who made it and why; its end has no digest
  create table tag_move (
    repository_id ${integer} not null references repository,
    name ${text} not null,
    at ${integer} not null,
    digest ${text} not null,
    actor ${text} not null,
    why ${text} not null,
    primary key (repository_id, name, at)
  ) ${keyedTable};
  insert into tag_move select repository_id, name, moved_at, digest, '', 'pushed' from tag;
  insert into tag_move select repository_id, name, at, digest, '', 'pushed' from tag_history where true on conflict do nothing;
  drop table tag_history;

  -- what a manifest refers to: its config, layers and children
  create table reference (
    repository_id ${integer} not null references repository,
    digest ${text} not null,
    manifest_id ${integer} not null,
    primary key (repository_id, digest, manifest_id)
  ) ${keyedTable};
  create index reference_manifest on reference (manifest_id);
  -- whether all it refers to is there: not yet where it was stored before, or taken in from a volume
  alter table manifest add column is_referring ${integer} not null default 0;

  -- deleted, but kept for a while: when, by whom and why, and which tags went along (a JSON list)
  alter table manifest add column trashed_at ${integer};
  alter table manifest add column trashed_by ${text};
  alter table manifest add column trashed_why ${text};
  alter table manifest add column trashed_tags ${text};
  create index manifest_trash on manifest (trashed_at) where trashed_at is not null;
  `,
  ({ text, integer, keyedTable }) => `
  -- since when it is not known whether a manifest of the repository refers to the blob; null: one did when that was last looked
  -- at; 0: nobody has looked yet
  alter table blob_link add column doubted_at ${integer} default 0;
  create index blob_link_doubt on blob_link (doubted_at, repository_id, digest) where doubted_at is not null;
  create index manifest_digest on manifest (digest);
  -- the same of a manifest: whether a tag, an index or a subject keeps it
  alter table manifest add column doubted_at ${integer} default 0;
  create index manifest_doubt on manifest (doubted_at, id) where doubted_at is not null;
  create index manifest_unread on manifest (repository_id) where is_referring = 0;

  -- bytes on their way out: 'unlinked' (a blob that lost a repository), 'condemned' (nobody has it), 'deleting', 'deleted'
  create table doomed (
    digest ${text} primary key,
    size ${integer} not null,
    state ${text} not null,
    since ${integer} not null
  ) ${keyedTable};
  create index doomed_since on doomed (state, since);
  insert into doomed select digest, size, 'unlinked', 0 from blob
    where not exists (select 1 from blob_link where blob_link.digest = blob.digest);
  `,
  ({ text, integer, keyedTable }) => `
  -- what was refused in the last day, by the ids of the requests
  create table refusal (
    sequence ${integer} primary key,
    id ${text} not null,
    at ${integer} not null,
    body ${text} not null
  ) ${keyedTable};
  create index refusal_id on refusal (id, sequence);
  create index refusal_at on refusal (at);
  `,
  ({ text, integer, keyedTable }) => `
  -- documents of rules for tags: what may not change, and what goes after a while
  create table rule_set (
    kind ${text} not null,
    scope ${text} not null,
    document ${text} not null,
    changed_at ${integer} not null,
    primary key (kind, scope)
  ) ${keyedTable};

  -- tags that stay where they are, or are not deleted; by name, so that a lock outlives the database of images
  create table tag_lock (
    repository ${text} not null,
    tag ${text} not null,
    is_fixed ${integer} not null,
    is_kept ${integer} not null,
    locked_by ${text} not null,
    locked_at ${integer} not null,
    primary key (repository, tag)
  ) ${keyedTable};

  -- when the tag goes by itself, and who said so: 'label' or the name of somebody
  alter table tag add column expires_at ${integer};
  alter table tag add column expires_by ${text};
  create index tag_expiry on tag (expires_at) where expires_at is not null;

  -- what retention has done, or would have: the last runs
  create table retention_run (
    sequence ${integer} primary key,
    at ${integer} not null,
    repository ${text} not null,
    state ${text} not null,
    plan ${text} not null,
    actor ${text} not null,
    tags ${integer} not null,
    images ${integer} not null,
    bytes ${integer} not null,
    body ${text} not null
  ) ${keyedTable};
  create index retention_run_repository on retention_run (repository, sequence);
   `,
  ({ text, integer, keyedTable }) => `
  -- what an organization or a repository may store, and what was charged
  create table quota (
    scope ${text} primary key,
    bytes ${integer} not null,
    soft ${integer} not null,
    used ${integer} not null
  ) ${keyedTable};
  create table quota_blob (
    scope ${text} not null,
    digest ${text} not null,
    size ${integer} not null,
    primary key (scope, digest)
  ) ${keyedTable};
  `,
  ({ text, integer, keyedTable }) => `
  -- whose tokens stand for a robot
  create table robot_trust (
    robot ${text} not null,
    id ${text} not null,
    issuer ${text} not null,
    audiences ${text} not null,
    claims ${text} not null,
    created_at ${integer} not null,
    primary key (robot, id)
  ) ${keyedTable};
  create index robot_trust_issuer on robot_trust (issuer, robot, id);
  `,
  ({ text, integer, keyedTable }) => `
  -- what nodes count together, by hashes of names: how much in a window of time, how many failures and the pause they lead to
  create table tally (
    id ${text} primary key,
    count ${integer} not null,
    until_at ${integer} not null,
    ends_at ${integer} not null
  ) ${keyedTable};
  create index tally_end on tally (ends_at);
  `,
  ({ text, integer }) => `
  -- bytes of the tar in it; negative: they cannot be told (size-facts.ts); null: nobody has looked yet
  alter table blob add column unpacked ${integer};
  -- whether its layers are to be looked into: 1 when there is time, 2 soon, 0 no more
  alter table manifest add column to_measure ${integer} not null default 1;
  -- linux/arm64/v8; empty where it has none; null: nobody has looked yet
  alter table manifest add column platform ${text};
  create index manifest_to_measure on manifest (to_measure, id) where to_measure > 0;
  -- whether the configuration has it
  alter table quota add column is_configured ${integer} not null default 0;
  `,
  () => `
  create index tag_move_at on tag_move (repository_id, at, name); -- for the history of a whole repository
  `,
  ({ statistics }) => `
  ${statistics}
  `,
  // whether a user owns the namespace of their name
  ({ integer }) => `alter table account add column owns_namespace ${integer} not null default 1`,
]
