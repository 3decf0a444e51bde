import type { Access } from './types.ts'

/** What is known of a request that is refused only where that happens: what it lacks, and the name it claimed. */
interface Known {
  access?: Access
  claimed?: string
}

const known = new WeakMap<object, Known>()

/** Notes what whoever explains the refusal will want to know. */
export function noteRefused(request: object, more: Known): void {
  known.set(request, { ...known.get(request), ...more })
}

/** What was noted of the request. */
export function notedOf(request: object): Known {
  return known.get(request) ?? {}
}
