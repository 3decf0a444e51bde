/** Each error code of the wire with its status and default sentence; the specification's fourteen first, then Docker's, then ours. */
const errors = {
  BLOB_UNKNOWN: [404, 'blob unknown to registry'],
  BLOB_UPLOAD_INVALID: [400, 'blob upload invalid'],
  BLOB_UPLOAD_UNKNOWN: [404, 'blob upload unknown to registry: start a new upload'],
  DIGEST_INVALID: [400, 'provided digest did not match uploaded content'],
  MANIFEST_BLOB_UNKNOWN: [400, 'manifest refers to content this repository does not hold: push it first'],
  MANIFEST_INVALID: [400, 'manifest invalid'],
  MANIFEST_UNKNOWN: [404, 'manifest unknown'],
  NAME_INVALID: [400, 'invalid repository name'],
  NAME_UNKNOWN: [404, 'repository name not known to registry'],
  SIZE_INVALID: [400, 'provided length did not match content length'],
  UNAUTHORIZED: [401, 'authentication required'],
  DENIED: [403, 'requested access to the resource is denied'],
  UNSUPPORTED: [405, 'the operation is unsupported'],
  TOOMANYREQUESTS: [429, 'too many requests'],
  RANGE_INVALID: [416, 'invalid content range'],
  TAG_INVALID: [400, 'invalid tag: use at most 128 letters, digits, "_", "." and "-", not starting with "." or "-"'],
  PAGINATION_NUMBER_INVALID: [400, 'invalid number of results requested: n must be a whole number'],
  PRECONDITION_FAILED: [412, 'the tag does not stand where the request expects it'],
  REQUEST_INVALID: [400, 'invalid request'],
  UNAVAILABLE: [503, 'service unavailable: try again later'],
  UNKNOWN: [500, 'unknown error'],
} as const satisfies Record<string, readonly [number, string]>

type ErrorCode = keyof typeof errors

interface ErrorOptions {
  /** Replaces the sentence of the table: what is wrong and what to do. */
  message?: string
  detail?: unknown
  /** Replaces the status of the table. */
  status?: number
  headers?: Record<string, string>
  cause?: unknown
}

/** An error that a client is told about, in the form of the distribution specification. */
export class OciError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly headers: Record<string, string>
  readonly details: unknown[]

  /** An array as detail becomes one entry each in the answer (MANIFEST_BLOB_UNKNOWN names every missing digest). */
  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(options.message ?? errors[code][1], { cause: options.cause })
    this.code = code
    this.status = options.status ?? errors[code][0]
    this.headers = options.headers ?? {}
    this.details = Array.isArray(options.detail) ? options.detail : [options.detail]
  }

  /** The body of the answer: `{"errors":[{code, message, detail}]}`. */
  toJson(): string {
    const entries = this.details.map((detail) => ({ code: this.code, message: this.message, detail }))
    return JSON.stringify({ errors: entries })
  }
}
