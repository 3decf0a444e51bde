import { OciError } from '../../oci/errors.ts'
import type { Feature, Platform } from '../feature.ts'

/** Read-only mode, and whether clients may delete: both answer 405 UNSUPPORTED, as registry:2 does. */
export function maintenance({ configuration }: Platform): Feature {
  const { readOnly, delete: mayDelete } = configuration.storage
  return {
    name: 'maintenance',
    gates: readOnly ? [({ method }) => refuseWrites(method)] : [],
    guards: mayDelete ? [] : [{ beforeDelete: refuseDelete }],
  }
}

function refuseWrites(method: string): void {
  if (method === 'GET' || method === 'HEAD') return
  throw new OciError('UNSUPPORTED', {
    message: 'the registry is read-only for maintenance: pull works, try again later to push or delete',
    headers: { Allow: 'GET, HEAD' },
  })
}

async function refuseDelete(): Promise<void> {
  throw new OciError('UNSUPPORTED', {
    message: 'deleting is switched off: the operator can allow it with storage.delete.enabled',
    headers: { Allow: 'GET, HEAD, PUT' },
  })
}
