/** A name and a password as they came. */
export interface Basic {
  name: string
  password: string
}

/** `Authorization: Basic` of neither name nor password: how some clients say that they have none (`docker search`). */
export function isEmptyBasic(authorization: string): boolean {
  return /^basic +Og==$/i.test(authorization)
}

let lastRead: { authorization: string | undefined; basic: Basic | undefined } | undefined

/** What an `Authorization: Basic` header holds (RFC 7617); undefined when it is another kind, broken, or without a name. */
export function readBasic(authorization: string | undefined): Basic | undefined {
  // Each who may know its sender reads a request's header, one after the other.
  if (!lastRead || lastRead.authorization !== authorization)
    lastRead = { authorization, basic: takeApart(authorization) }
  return lastRead.basic
}

function takeApart(authorization: string | undefined): Basic | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 1 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** The token of an `Authorization: Bearer` header (RFC 6750 2.1). */
export function readBearer(authorization: string | undefined): string | undefined {
  // As clients write it; this is asked of every request, and tokens are long.
  if (authorization?.startsWith('Bearer ') && !authorization.includes(' ', 7))
    return authorization.slice(7) || undefined
  return /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
}

/** The header for a name and a password. */
export function basicOf({ name, password }: Basic): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

/**
 * A credential that says itself whom it stands for, such as an access token: as bearer, or as a password. Clouds have names of
 * their own beside it (`AWS`, `oauth2accesstoken`, `_json_key`, the GUID of zeros, `USERNAME`), so the name is not looked at.
 */
export function readToken(authorization: string | undefined): string | undefined {
  return readBearer(authorization) ?? readBasic(authorization)?.password
}

/** Whether a text is meant as a JWT: three parts, the first of which begins as a JSON object does. */
export function looksLikeJwt(text: string): boolean {
  return text.startsWith('eyJ') && text.split('.', 4).length === 3
}
