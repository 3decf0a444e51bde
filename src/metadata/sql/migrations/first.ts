import type { Migration } from '../schema.ts'

/** What the registry itself keeps, jobs, and accounts. Never changed: databases have been brought to here by them. */
export const firstMigrations: Migration[] = [
  ({ text, integer, bytes, id, sequence, table, keyedTable, recording }) => `
  create table repository (
    id ${id},
    name ${text} not null unique
  ) ${table};

  -- bytes that lie in the storage, whole and durable
  create table blob (
    digest ${text} primary key,
    size ${integer} not null,
    stored_at ${integer} not null
  ) ${keyedTable};

  -- that a blob belongs to a repository
  create table blob_link (
    repository_id ${integer} not null references repository,
    digest ${text} not null references blob,
    primary key (repository_id, digest)
  ) ${keyedTable};
  create index blob_link_digest on blob_link (digest);

  create table manifest (
    id ${id},
    repository_id ${integer} not null references repository,
    digest ${text} not null,
    media_type ${text} not null,
    subject ${text},
    pushed_at ${integer} not null,
    content ${bytes} not null,
    unique (repository_id, digest)
  ) ${table};

  -- manifests with a subject, as the referrers API lists them: a table of its own, so that a list is one run of pages
  create table referrer (
    repository_id ${integer} not null references repository,
    subject ${text} not null,
    digest ${text} not null,
    artifact_type ${text},
    descriptor ${text} not null,
    primary key (repository_id, subject, digest)
  ) ${keyedTable};

  create table tag (
    repository_id ${integer} not null references repository,
    name ${text} not null,
    digest ${text} not null,
    moved_at ${integer} not null,
    primary key (repository_id, name),
    foreign key (repository_id, digest) references manifest (repository_id, digest)
  ) ${keyedTable};
  create index tag_digest on tag (repository_id, digest);

  create table upload (
    id ${text} primary key,
    repository ${text} not null,
    algorithm ${text} not null,
    started_at ${integer} not null
  ) ${keyedTable};

  create table event (
    sequence ${sequence},
    at ${integer} not null,
    body ${text} not null
  ) ${table};
  create index event_at on event (at);
  ${recording}

  create table job (
    name ${text} primary key,
    due_at ${integer} not null,
    leased_until ${integer} not null
  ) ${keyedTable};
  `,
  ({ text, integer, keyedTable }) => `
  -- how far readers of the event log have come
  create table cursor (
    name ${text} primary key,
    sequence ${integer} not null,
    moved_at ${integer} not null
  ) ${keyedTable};

  -- every digest a tag pointed to since it was last deleted, and when it last began
  create table tag_history (
    repository_id ${integer} not null references repository,
    name ${text} not null,
    digest ${text} not null,
    at ${integer} not null,
    primary key (repository_id, name, digest)
  ) ${keyedTable};
  insert into tag_history select repository_id, name, digest, moved_at from tag;

  alter table manifest add column last_pulled_at ${integer};
  `,
  // From here on the last event stays, without a body when it is forgotten: its number must not be.
  ({ lastEvent }) => lastEvent,
  ({ text }) => `alter table job add column holder ${text} not null default '';`,
  ({ text, integer, keyedTable }) => `
  -- what a storage remembers of content that is on its way in, as a text of its own
  create table upload_state (
    path ${text} primary key,
    version ${integer} not null,
    changed_at ${integer} not null,
    state ${text} not null
  ) ${keyedTable};
  `,
  // One row: by it a volume knows whose it is.
  ({ text, keyedTable }) => `create table identity (id ${text} primary key) ${keyedTable};`,
  ({ text, integer, keyedTable }) => `
  -- what sign-in keeps: keys, refresh tokens (their hashes), what may be used only once
  create table vault (
    kind ${text} not null,
    id ${text} not null,
    ends_at ${integer},
    text ${text} not null,
    primary key (kind, id)
  ) ${keyedTable};
  create index vault_end on vault (ends_at);
  `,
  ({ text, integer, keyedTable }) => `
  -- users, organizations and robots
  create table account (
    name ${text} primary key,
    kind ${text} not null,
    organization ${text} not null,
    password ${text} not null,
    is_administrator ${integer} not null,
    is_disabled ${integer} not null,
    creates_on_push ${integer} not null,
    description ${text} not null,
    created_at ${integer} not null
  ) ${keyedTable};
  create index account_organization on account (organization, name);

  create table team (
    organization ${text} not null,
    name ${text} not null,
    description ${text} not null,
    primary key (organization, name)
  ) ${keyedTable};

  -- who belongs to an organization, or to one of its teams
  create table member (
    organization ${text} not null,
    team ${text} not null,
    account ${text} not null,
    role ${text} not null,
    primary key (organization, team, account)
  ) ${keyedTable};
  create index member_account on member (account);

  create table access_token (
    id ${text} primary key,
    account ${text} not null,
    name ${text} not null,
    hash ${text} not null unique,
    scopes ${text} not null,
    repositories ${text} not null,
    created_at ${integer} not null,
    expires_at ${integer} not null,
    used_at ${integer} not null,
    used_from ${text} not null
  ) ${keyedTable};
  create index access_token_account on access_token (account, id);

  create table role_grant (
    namespace ${text} not null,
    repositories ${text} not null,
    principal ${text} not null,
    roles ${text} not null,
    created_at ${integer} not null,
    primary key (namespace, repositories, principal)
  ) ${keyedTable};
  create index role_grant_principal on role_grant (principal);

  -- where it is not what the registry has for all
  create table visibility (
    repository ${text} primary key,
    visibility ${text} not null
  ) ${keyedTable};

  create table policy (
    name ${text} primary key,
    namespace ${text} not null,
    document ${text} not null,
    created_at ${integer} not null
  ) ${keyedTable};

  -- one row: how often the tables above changed
  create table account_version (
    id ${integer} primary key,
    version ${integer} not null
  ) ${keyedTable};

  -- who did what, each record with the hash of the one before
  create table audit (
    sequence ${integer} primary key,
    at ${integer} not null,
    previous ${text} not null,
    hash ${text} not null,
    body ${text} not null
  ) ${keyedTable};
  create index audit_at on audit (at);

  -- who began an upload: nobody else goes on with it
  alter table upload add column owner ${text} not null default '';
  `,
]
