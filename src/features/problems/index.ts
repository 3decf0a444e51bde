import type { HttpReply, HttpRequest } from '../../http/types.ts'
import { route } from '../../http/types.ts'
import type { Feature, Platform } from '../feature.ts'

/** A page for every problem that the management API tells of, under its `type`; loaded when somebody reads one. */
export function problemPages({ configuration }: Platform): Feature {
  async function show(kind: string | undefined, { headers: { accept } }: HttpRequest<unknown>): Promise<HttpReply> {
    const { problemPage } = await import('./page.ts')
    return problemPage({ kind, accept, prefix: configuration.http.prefix.slice(0, -1) })
  }

  const open = () => [] // it says nothing of this registry
  return {
    name: 'problems',
    routes: [
      route('GET HEAD', '/problems', open, (request) => show(undefined, request)),
      route('GET HEAD', '/problems/:kind', open, (request) => show(request.params.kind, request)),
    ],
  }
}
