/** What a browser keeps and sends, as far as sign-in goes by it: cookies, where a request comes from, redirects one by one. */
export function createBrowser() {
  const cookies = new Map<string, string>()

  async function visit(address: string | URL, init: RequestInit & { from?: string } = {}): Promise<Response> {
    const url = new URL(address)
    const { from, ...request } = init
    const jar = [...cookies].filter(([key]) => key.startsWith(`${url.host} `))
    const cookie = jar.map(([key, value]) => `${key.slice(url.host.length + 1)}=${value}`).join('; ')
    const reply = await fetch(url, {
      redirect: 'manual',
      ...request,
      headers: { ...(cookie && { Cookie: cookie }), ...(from !== undefined && { Origin: from }), ...request.headers },
    })
    for (const line of reply.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ')
      const [name = '', ...value] = pair.split('=')
      if (attributes.some((one) => one.toLowerCase() === 'max-age=0') || value.join('=') === '')
        cookies.delete(`${url.host} ${name}`)
      else cookies.set(`${url.host} ${name}`, value.join('='))
    }
    return reply
  }

  return {
    cookies,
    visit,
    /** Goes where redirects lead; gives the last answer and all addresses on the way. */
    async follow(address: string | URL, init: Parameters<typeof visit>[1] = {}) {
      const seen = [new URL(address).href]
      let reply = await visit(address, init)
      for (let left = 15; left > 0 && reply.headers.has('location'); left--) {
        const next = new URL(reply.headers.get('location')!, seen.at(-1)).href
        seen.push(next)
        reply = await visit(next)
      }
      return { reply, seen }
    },
    /** Sends a form as a page of this site does. */
    submit: (address: string | URL, fields: Record<string, string>, from = new URL(address).origin) =>
      visit(address, { method: 'POST', body: new URLSearchParams(fields), from }),
  }
}

export type TestBrowser = ReturnType<typeof createBrowser>
