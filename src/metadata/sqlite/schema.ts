import type { DatabaseSync } from 'node:sqlite'

/** Each entry brings the database from its index to the next version; entries are only ever added. */
const migrations = [
  `
  create table repository (
    id integer primary key,
    name text not null unique
  ) strict;

  -- bytes that lie in the storage, whole and durable
  create table blob (
    digest text primary key,
    size integer not null,
    stored_at integer not null
  ) strict, without rowid;

  -- that a blob belongs to a repository
  create table blob_link (
    repository_id integer not null references repository,
    digest text not null references blob,
    primary key (repository_id, digest)
  ) strict, without rowid;
  create index blob_link_digest on blob_link (digest);

  create table manifest (
    id integer primary key,
    repository_id integer not null references repository,
    digest text not null,
    media_type text not null,
    subject text,
    pushed_at integer not null,
    content blob not null,
    unique (repository_id, digest)
  ) strict;

  -- manifests with a subject, as the referrers API lists them: a table of its own, so that a list is one run of pages
  create table referrer (
    repository_id integer not null references repository,
    subject text not null,
    digest text not null,
    artifact_type text,
    descriptor text not null,
    primary key (repository_id, subject, digest)
  ) strict, without rowid;

  create table tag (
    repository_id integer not null references repository,
    name text not null,
    digest text not null,
    moved_at integer not null,
    primary key (repository_id, name),
    foreign key (repository_id, digest) references manifest (repository_id, digest)
  ) strict, without rowid;
  create index tag_digest on tag (repository_id, digest);

  create table upload (
    id text primary key,
    repository text not null,
    algorithm text not null,
    started_at integer not null
  ) strict, without rowid;

  create table event (
    sequence integer primary key autoincrement,
    at integer not null,
    body text not null
  ) strict;
  create index event_at on event (at);

  create table job (
    name text primary key,
    due_at integer not null,
    leased_until integer not null
  ) strict, without rowid;
  `,
  `
  -- how far readers of the event log have come
  create table cursor (
    name text primary key,
    sequence integer not null,
    moved_at integer not null
  ) strict, without rowid;

  -- every digest a tag pointed to since it was last deleted, and when it last began to
  create table tag_history (
    repository_id integer not null references repository,
    name text not null,
    digest text not null,
    at integer not null,
    primary key (repository_id, name, digest)
  ) strict, without rowid;
  insert into tag_history select repository_id, name, digest, moved_at from tag;

  alter table manifest add column last_pulled_at integer;
  `,
  `
  -- what a storage remembers of content that is on its way in, as a text of its own
  create table upload_state (
    path text primary key,
    version integer not null,
    changed_at integer not null,
    state text not null
  ) strict, without rowid;
  `,
]

/** Brings the database to the present version. @throws when a newer Holdfast wrote it */
export function migrate(database: DatabaseSync): void {
  const version = Number(database.prepare('pragma user_version').get()?.user_version)
  if (version > migrations.length) {
    throw new Error(
      `Cannot open database: it has version ${version}, this Holdfast knows up to ${migrations.length}; use a newer one`,
    )
  }
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue
    database.exec(`begin immediate; ${sql}; pragma user_version = ${index + 1}; commit`)
  }
}
