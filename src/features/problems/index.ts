import type { HttpReply, HttpRequest } from '../../http/types.ts'
import { route } from '../../http/types.ts'
import type { Feature, Platform } from '../feature.ts'

type Request = HttpRequest<{ kind?: string }>

/** A page for every problem that the management API tells of, under its `type`; loaded when somebody reads one. */
export function problemPages({ configuration }: Platform): Feature {
  async function show({ params: { kind }, headers: { accept } }: Request): Promise<HttpReply> {
    const { problemPage } = await import('./page.ts')
    return problemPage({ kind, accept, prefix: configuration.http.prefix.slice(0, -1) })
  }

  const open = () => [] // it says nothing of this registry
  return {
    name: 'problems',
    routes: [route('GET HEAD', '/problems', open, show), route('GET HEAD', '/problems/:kind', open, show)],
  }
}
