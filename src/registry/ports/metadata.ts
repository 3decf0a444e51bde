import type { Algorithm, Digest } from '../../oci/digest.ts'
import type { ContentReference } from '../../oci/manifest.ts'
import type { Reference } from '../../oci/reference.ts'
import type { Actor, Happening, RegistryEvent } from './events.ts'

export interface StoredManifest {
  digest: Digest
  mediaType: string
  content: Buffer
}

export interface Upload {
  id: string
  repository: string
  /** The algorithm the client announced; its digest is computed while the bytes arrive. */
  algorithm: Algorithm
  /** Who began it, and alone may go on with it; empty for anybody. */
  owner: string
}

/** A keyset page: at most `limit` entries after `last`, in byte order. */
export interface Page {
  limit: number
  last?: string | undefined
}

export interface ManifestPush {
  repository: string
  manifest: StoredManifest
  tags: string[]
  artifactType: string | undefined
  subject: Digest | undefined
  annotations: Record<string, string> | undefined
  references: ContentReference[]
  /** Where the tag must stand for the push to happen: on any of these digests (`*`: wherever it is), or nowhere. */
  expects?: { digests: string[] } | 'absent' | undefined
  /** Why the tags move, where it is not for a client's push; for their history. */
  why?: 'restored'
}

export type PushOutcome =
  | { outcome: 'pushed' }
  | { outcome: 'missing'; digests: Digest[] }
  | { outcome: 'wrong-size'; digest: Digest; size: number }
  | { outcome: 'precondition-failed' }
  | { outcome: 'refused'; message: string; detail: unknown }

/**
 * Facts. Each method that writes is one transaction together with its event, durable once it resolves. Every store passes
 * `metadata/contract.ts` unchanged.
 */
export interface MetadataStore {
  repositories: {
    /** Names of repositories that hold a manifest. */
    list(page: Page): Promise<string[]>
  }
  blobs: {
    find(repository: string, digest: Digest): Promise<{ size: number } | undefined>
    /** The size of the blob, whichever repository holds it. */
    findAnywhere(digest: Digest): Promise<{ size: number } | undefined>
    repositoriesOf(digest: Digest): Promise<string[]>
    /** All blobs there are, in order of digest; `last` need not be a whole digest. */
    list(page: Page): Promise<{ digest: Digest; size: number }[]>
    /** Makes published bytes a blob of the repository and ends the upload they came by. */
    commit(blob: { repository: string; digest: Digest; size: number; upload: string }, actor: Actor): Promise<void>
    /** Gives the repository a blob that `from` holds; false when it does not. */
    mount(blob: { repository: string; digest: Digest; from: string }, actor: Actor): Promise<boolean>
    unlink(repository: string, digest: Digest, actor: Actor): Promise<boolean>
  }
  manifests: {
    find(repository: string, reference: Reference): Promise<StoredManifest | undefined>
    /** Stores the manifest and sets its tags, if all it refers to is there and its tag stands where expected. */
    push(push: ManifestPush, actor: Actor): Promise<PushOutcome>
    /** Moves the manifest to the trash and deletes every tag on it; gives those tags, or undefined when there is no such manifest. */
    delete(repository: string, digest: Digest, actor: Actor): Promise<string[] | undefined>
    /**
     * The manifests with this subject, of `artifactTypes` only if any are given: their descriptors in order of digest as JSON
     * texts with commas between them, of `bytes` at most but at least one; `next` is the last of them when more follow.
     */
    referrers(
      repository: string,
      subject: Digest,
      artifactTypes: string[],
      page: Page & { bytes: number },
    ): Promise<{ descriptors: string; next: string | undefined }>
  }
  tags: {
    /** Undefined when there is no such repository. */
    list(repository: string, page: Page): Promise<string[] | undefined>
    delete(repository: string, tag: string, actor: Actor): Promise<boolean>
  }
  uploads: {
    create(upload: Upload): Promise<void>
    find(id: string): Promise<Upload | undefined>
    delete(id: string): Promise<void>
    startedBefore(moment: Date): Promise<string[]>
  }
  events: {
    /** Events in the order they were committed, after the one with this sequence number. */
    after(sequence: number, limit: number): Promise<(RegistryEvent & { sequence: number })[]>
    /** The sequence number of the newest event; 0 before the first. */
    last(): Promise<number>
    /** Records what changes no state. */
    record(happenings: (Happening & { actor: Actor })[]): Promise<void>
    /** Keeps what a cursor has yet to pass. */
    deleteBefore(moment: Date): Promise<void>
  }
  /** How far each reader of the events has come. */
  cursors: {
    get(name: string): Promise<{ sequence: number; movedAt: Date } | undefined>
    /** A negative sequence stands for a reader that has stopped: it keeps no events. */
    set(name: string, sequence: number): Promise<void>
    delete(name: string): Promise<void>
    names(): Promise<string[]>
  }
  jobs: {
    /** Takes the job for `leaseSeconds` if it is due and nobody else holds it; who holds it does so for longer. */
    claim(name: string, holder: string, leaseSeconds: number): Promise<boolean>
    /** Gives the job back, unless another holds it by now; it is due again after `seconds`. */
    release(name: string, holder: string, seconds: number): Promise<void>
  }
  close(): Promise<void>
}
