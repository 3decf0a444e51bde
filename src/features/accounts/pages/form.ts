import { readBody } from '../../../http/body.ts'
import type { HttpRequest } from '../../../http/types.ts'
import { OciError } from '../../../oci/errors.ts'

const maxForm = 16 << 10

/** A form that was sent. @throws OciError REQUEST_INVALID */
export async function readForm(request: HttpRequest<unknown>): Promise<URLSearchParams> {
  if (!request.headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded'))
    throw new OciError('REQUEST_INVALID', {
      message: 'expected a form: Content-Type: application/x-www-form-urlencoded',
    })
  return new URLSearchParams((await readBody(request, maxForm)).toString())
}
