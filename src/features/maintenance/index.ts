import type { HttpRequest } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Feature, Platform } from '../feature.ts'

/**
 * Where people and machines sign in and out, fetch tokens and take credentials back: it changes nothing of images, and who has been
 * found out must be kept out also during maintenance.
 */
const aboutCallers = new RegExp(
  `^/(${[
    'token|auth/token|oauth2/token|sign-in|sign-out|device|device_authorization',
    'api/v1/(setup|session|me|tokens|users|orgs/[^/]+/robots)(/.*)?',
  ].join('|')})$`,
)

/** Read-only mode, and whether clients may delete: both answer 405 UNSUPPORTED, as registry:2 does. */
export function maintenance({ configuration }: Platform): Feature {
  const { readOnly, delete: mayDelete } = configuration.storage
  return {
    name: 'maintenance',
    gates: readOnly ? [refuseWrites] : [],
    guards: mayDelete ? [] : [{ beforeDelete: refuseDelete }],
  }
}

function refuseWrites({ method, path }: HttpRequest): void {
  if (method === 'GET' || method === 'HEAD' || aboutCallers.test(path)) return
  throw new OciError('UNSUPPORTED', {
    message:
      'the registry is read-only for maintenance: pull and sign-in work, try again later to push, delete or change anything else',
    headers: { Allow: 'GET, HEAD' },
  })
}

async function refuseDelete(): Promise<void> {
  throw new OciError('UNSUPPORTED', {
    message: 'deleting is switched off: the operator can allow it with storage.delete.enabled',
    headers: { Allow: 'GET, HEAD, PUT' },
  })
}
