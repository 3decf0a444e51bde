import { resolve } from 'node:path'
import type { OpenIdConfiguration } from '../configuration.ts'
import { buildGroups, isSafe } from './sign-in.ts'
import { type Build, withoutUndefined } from './tools.ts'

/** `holdfast.openid` */
export function buildOpenId(build: Build): OpenIdConfiguration | undefined {
  const { reading, missing, error } = build
  const { issuer, clientid, clientsecret, clientsecretfile, scopes, ...given } = reading.values.holdfast.openid
  const at = 'holdfast.openid'
  if (issuer === undefined) {
    if (clientid !== undefined) missing(`${at}.issuer`, 'the URL of the provider')
    return undefined
  }
  if (!isSafe(issuer)) error(`${at}.issuer`, 'is not https: expected https://, or http:// on this machine')
  if (!clientid) missing(`${at}.clientid`, 'what this registry is called at the provider')
  if (clientsecret !== undefined && clientsecretfile !== undefined)
    error(`${at}.clientsecret`, 'stands beside clientsecretfile: expected one of them')
  const wanted = withoutUndefined(scopes)
  for (const [index, scope] of wanted.entries())
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope))
      error(`${at}.scopes.${index}`, 'has blanks or quotes: expected one scope')
  return {
    issuer,
    clientId: clientid ?? '',
    clientSecret: clientsecretfile !== undefined ? { file: resolve(clientsecretfile) } : secretOf(clientsecret),
    scopes: ['openid', ...(wanted.length > 0 ? wanted : ['profile']).filter((scope) => scope !== 'openid')],
    usernameClaim: given.usernameclaim,
    groupsClaim: given.groupsclaim,
    groups: buildGroups(build, at, given.groups),
  }
}

const secretOf = (text: string | undefined) => (text === undefined ? undefined : { text })
