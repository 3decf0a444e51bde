import type { IncomingHttpHeaders } from 'node:http'

export interface ObjectFacts {
  size: number
  /** The moment `put` was given, else when the store was written to. */
  modifiedAt: Date
  etag: string
}

/** The bytes of an object on their way from the store. */
export interface ObjectBody {
  /**
   * The next bytes, which are good until the next are asked for; undefined when all have come.
   * @throws StoreError when the store breaks off, or is silent for longer than this
   */
  next(idleMs: number): Promise<Buffer | undefined>
  /** Nothing more is wanted; again does no harm. */
  destroy(): void
}

/** An upload in parts, which is seen under its key once it is completed. */
export interface Multipart {
  key: string
  id: string
}

export interface Part {
  number: number
  etag: string
}

/**
 * What an object store must be able to do; a client for each kind of store does it. Keys are paths of the storage. What fails in
 * passing is tried again inside; what still fails is thrown as a `StoreError`.
 */
export interface ObjectStore {
  /** The most parts an upload may have, and the fewest bytes of each but the last. */
  limits: { parts: number; leastPart: number }
  head(key: string): Promise<ObjectFacts | undefined>
  /** Opens an object from byte `first` to `last`, only as long as it is the one with this etag; the caller destroys the body. */
  get(
    key: string,
    part?: { first: number; last: number; etag: string },
  ): Promise<(ObjectFacts & { body: ObjectBody }) | undefined>
  put(key: string, body: Buffer[], modifiedAt?: Date): Promise<void>
  /** Inside the store, over what lies there. @throws when there is nothing to copy */
  copy(from: string, to: string, size: number): Promise<void>
  delete(keys: string[]): Promise<void>
  /** What lies below a prefix; with `shallow` names up to the next slash stand for what is below them. */
  list(prefix: string, shallow?: boolean): AsyncGenerator<{ key: string; modifiedAt: Date | undefined }>
  /** Where a client may read the object for a while without credentials; undefined where that cannot be said. */
  signedUrl(key: string): Promise<string | undefined>
  begin(key: string): Promise<Multipart>
  putPart(upload: Multipart, number: number, body: Buffer[]): Promise<Part>
  /** Makes parts of an object that is there, numbered from `first`. */
  copyParts(upload: Multipart, first: number, from: string, size: number): Promise<Part[]>
  /** Makes the parts one object of `size` bytes; again does no harm. */
  complete(upload: Multipart, parts: readonly Part[], size: number): Promise<void>
  /** Throws the parts away; again does no harm. */
  abort(upload: Multipart): Promise<void>
  /** Uploads that were begun and neither completed nor aborted. */
  unfinished(prefix: string): AsyncGenerator<Multipart & { begunAt: Date }>
  /** Finds out whether the store can be used. @throws Error that says what to do */
  check(): Promise<void>
}

/** What a store answered, or that it did not; the wire says "try again later". */
export class StoreError extends Error {
  readonly code = 'EAGAIN'
  /** 0 when there was no answer. */
  readonly status: number
  /** The store's word for it, such as `NoSuchBucket`. */
  readonly reason: string

  constructor(
    message: string,
    { status = 0, reason = '', cause }: { status?: number; reason?: string; cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.status = status
    this.reason = reason
  }
}

/** What the headers of an answer say of an object; `modifiedHeader` holds the moment `put` was given. */
export function factsOf(headers: IncomingHttpHeaders, modifiedHeader: string): ObjectFacts {
  const own = Number(headers[modifiedHeader])
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]
  return {
    size: Number(total ?? headers['content-length'] ?? 0),
    modifiedAt: new Date(own > 0 ? own : (headers['last-modified'] ?? 0)),
    etag: headers.etag ?? '',
  }
}
