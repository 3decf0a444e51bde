import { resolve } from 'node:path'
import type {
  AuthConfiguration,
  Configuration,
  LdapConfiguration,
  RateLimitsConfiguration,
  TokensConfiguration,
  WorkloadIdentityRule,
} from '../configuration.ts'
import { type Build, withoutUndefined } from './tools.ts'

const minute = 60_000
const hour = 60 * minute

/** `auth`: who may come in. */
export function buildAuth(build: Build): AuthConfiguration | undefined {
  const { reading, missing } = build
  const { htpasswd, silly, token } = reading.values.auth
  if (htpasswd) {
    if (!htpasswd.path) missing('auth.htpasswd.path', 'the path of the file with the passwords')
    return { kind: 'htpasswd', realm: htpasswd.realm, path: resolve(htpasswd.path ?? '') }
  }
  if (token) return buildOutside(build, token)
  if (!silly) return undefined
  for (const name of ['realm', 'service'] as const) if (!silly[name]) missing(`auth.silly.${name}`, 'a text')
  return { kind: 'silly', realm: silly.realm ?? '', service: silly.service ?? '' }
}

type Token = NonNullable<Build['reading']['values']['auth']['token']>

/** registry:2's and registry:3's `auth.token`. */
function buildOutside({ missing, warn, error }: Build, token: Token): AuthConfiguration {
  const { realm, service, issuer, rootcertbundle, jwks, signingalgorithms, autoredirect, autoredirectpath } = token
  if (!realm && !autoredirect) missing('auth.token.realm', 'the URL where clients fetch tokens')
  if (!issuer) missing('auth.token.issuer', 'who issues the tokens: their iss')
  if (!service) missing('auth.token.service', 'what this registry is called in tokens: their aud')
  if (!rootcertbundle && !jwks) missing('auth.token.rootcertbundle', 'a file of certificates, or auth.token.jwks')
  if (/["\\\r\n]/.test(`${realm ?? ''}${service ?? ''}`))
    error('auth.token', 'has a realm or service with quotes or line ends: expected plain ones')
  const given = withoutUndefined(signingalgorithms)
  const algorithms = given.filter((name) => !name.startsWith('HS'))
  if (algorithms.length < given.length)
    warn(
      'auth.token.signingalgorithms',
      'names HS algorithms, which are passed over: they take public keys for secrets',
    )
  if (given.length > 0 && algorithms.length === 0)
    error('auth.token.signingalgorithms', 'leaves no algorithm: expected one such as ES256 or RS256')
  return {
    kind: 'token',
    realm: realm ?? '',
    service: service ?? '',
    issuer: issuer ?? '',
    certificates: rootcertbundle && resolve(rootcertbundle),
    jwks: jwks && resolve(jwks),
    algorithms: algorithms.length > 0 ? algorithms : undefined,
    redirectPath: autoredirect ? `/${autoredirectpath.replace(/^\/+/, '')}` : undefined,
  }
}

/** `holdfast.tokens`: undefined where the token service is off. */
export function buildTokens({ reading, error }: Build): TokensConfiguration | undefined {
  const { auth, holdfast } = reading.values
  const { enabled, realm, service, issuer, services, expiration, offline } = holdfast.tokens
  const { silly, token } = auth
  const asksForAccounts =
    (holdfast.access ?? 'open') !== 'open' || holdfast.admin.user !== undefined || knowsOthers(holdfast)
  if (!(enabled ?? (asksForAccounts && !auth.htpasswd && !silly && !token))) return undefined
  if (silly || token) error('holdfast.tokens.enabled', 'needs users of its own: expected accounts or auth.htpasswd')
  if (/["\\\s,]/.test(service)) error('holdfast.tokens.service', 'has quotes, blanks or commas: expected a plain name')
  if (realm && /["\\\s,]/.test(realm))
    error('holdfast.tokens.realm', 'has quotes, blanks or commas: expected a plain URL')
  if (expiration < minute || expiration > hour)
    error('holdfast.tokens.expiration', 'is not between 60s and 1h: clients take less than 60s for 60s')
  return { realm, service, issuer, services: withoutUndefined(services), lifeMs: expiration, offline }
}

const knowsOthers = ({ ldap, openid }: Build['reading']['values']['holdfast']) =>
  ldap.url !== undefined || openid.issuer !== undefined

type Rule = Build['reading']['values']['holdfast']['workloadidentity'][number]

/** `holdfast.workloadidentity` */
export function buildWorkloadIdentity(build: Build): WorkloadIdentityRule[] {
  const { reading, error } = build
  const { values } = reading
  const rules = values.holdfast.workloadidentity.map((rule, index) =>
    buildRule(build, `holdfast.workloadidentity.${index}`, rule),
  )
  for (const [index, { issuer, jwks }] of rules.entries())
    if (rules.some((other) => other.issuer === issuer && other.jwks !== jwks))
      error(`holdfast.workloadidentity.${index}.jwks`, 'is not the same in all rules of its issuer')
  if (rules.length > 0 && !values.auth.htpasswd && (values.holdfast.access ?? 'open') === 'open')
    error(
      'holdfast.workloadidentity',
      'needs a registry that is not open: expected holdfast.access: closed, or auth.htpasswd',
    )
  return rules
}

function buildRule({ reading, error, missing }: Build, at: string, rule: Rule): WorkloadIdentityRule {
  const { name, issuer, audience, jwks, claims, robot, grants, expiration } = rule
  if (!name) missing(`${at}.name`, 'a name, such as deploy')
  if (!issuer) missing(`${at}.issuer`, 'the URL of who issues the tokens')
  else if (!isSafe(issuer)) error(`${at}.issuer`, 'is not https: expected https://, or http:// on this machine')
  const host = reading.values.http.host
  const audiences = audience.length > 0 ? withoutUndefined(audience) : host ? [host] : []
  if (audiences.length === 0)
    missing(`${at}.audience`, 'for whom the tokens are issued, such as the URL of this registry')
  const conditions = Object.entries(claims).map(([claim, values]) => ({ claim, values: withoutUndefined(values) }))
  if (!conditions.some(({ claim, values }) => (claim === 'sub' || claim.endsWith('_id')) && values.length > 0))
    missing(`${at}.claims.sub`, 'sub or a claim that ends in _id, for names can be given to others')
  for (const { claim, values } of conditions) {
    if (values.length === 0) error(`${at}.claims.${claim}`, 'is empty: expected a value')
    if (values.some((value) => /^\**$/.test(value)))
      error(`${at}.claims.${claim}`, 'fits everything: expected more than *')
  }
  if (expiration < minute || expiration > hour) error(`${at}.expiration`, 'is not between 60s and 1h')
  if (!robot && grants.length === 0) missing(`${at}.robot`, 'as whom the job acts, or grants')
  return {
    name: name ?? '',
    issuer: issuer ?? '',
    audiences,
    jwks: jwks && resolve(jwks),
    conditions,
    robot,
    grants: grants.map(({ repository, actions }, index) => {
      if (!repository) missing(`${at}.grants.${index}.repository`, 'the name of a repository, or a pattern')
      if (actions.length === 0) missing(`${at}.grants.${index}.actions`, 'pull, push or delete')
      return { repository: repository ?? '', actions: withoutUndefined(actions) }
    }),
    lifeMs: expiration,
  }
}

/** Whether nobody on the way could put keys of their own in the place of the issuer's. */
export function isSafe(issuer: string): boolean {
  const { protocol, hostname } = new URL(issuer)
  return protocol === 'https:' || isHere(hostname)
}

const isHere = (hostname: string) => ['localhost', '127.0.0.1', '[::1]'].includes(hostname)

type Ldap = Build['reading']['values']['holdfast']['ldap']

/** `holdfast.ldap` */
export function buildLdap(build: Build): LdapConfiguration | undefined {
  const { reading, missing, error } = build
  const ldap = reading.values.holdfast.ldap
  const { url, starttls, ca, base, userfilter } = ldap
  const at = 'holdfast.ldap'
  if (url === undefined) {
    if (base !== undefined || ldap.binddn !== undefined) missing(`${at}.url`, 'the URL of the server')
    return undefined
  }
  if (!base) missing(`${at}.base`, 'below what users are looked for')
  const { protocol, hostname } = new URL(url)
  if (protocol === 'ldap:' && !starttls && !isHere(hostname))
    error(`${at}.url`, 'is without TLS: expected ldaps://, or starttls: true, or a server on this machine')
  if (protocol === 'ldaps:' && starttls) error(`${at}.starttls`, 'stands beside ldaps://, which is TLS from the start')
  if (ldap.groups.length > 0 && ldap.groupbase === undefined)
    missing(`${at}.groupbase`, 'below what groups are looked for')
  if (!userfilter.includes('{user}')) error(`${at}.userfilter`, 'has no {user}: expected one such as (uid={user})')
  return {
    ...{ url, startTls: starttls, ca: ca && resolve(ca), base: base ?? '', timeoutMs: ldap.timeout },
    bind: buildLdapBind(build, ldap),
    ...{ userFilter: userfilter, groupBase: ldap.groupbase, groupFilter: ldap.groupfilter },
    groups: buildGroups(build, at, ldap.groups),
  }
}

function buildLdapBind({ error, missing }: Build, { binddn, bindpassword, bindpasswordfile }: Ldap) {
  const at = 'holdfast.ldap.bindpassword'
  if (binddn === undefined) return undefined
  if (bindpassword !== undefined && bindpasswordfile !== undefined)
    error(at, 'stands beside bindpasswordfile: expected one of them')
  if (!bindpassword && bindpasswordfile === undefined)
    missing(at, 'the password of binddn, or the file that holds it in bindpasswordfile')
  const given = bindpasswordfile === undefined ? { text: bindpassword ?? '' } : { file: resolve(bindpasswordfile) }
  return { dn: binddn, password: given }
}

/** What groups of LDAP or OpenID Connect stand for. */
export function buildGroups(
  { error, missing }: Build,
  at: string,
  groups: Ldap['groups'],
): LdapConfiguration['groups'] {
  return groups.map(({ group, team, administrator }, index) => {
    const place = `${at}.groups.${index}`
    if (!group) missing(`${place}.group`, 'the name of a group')
    if (team === undefined && !administrator) missing(`${place}.team`, 'ORGANIZATION/TEAM, or administrator: true')
    if (team !== undefined && !/^[^/]+\/[^/]+$/.test(team)) error(`${place}.team`, 'is not ORGANIZATION/TEAM')
    return { group: group ?? '', team, administrator }
  })
}

/** `holdfast.ratelimits` */
export function buildRateLimits({ reading, error, missing }: Build): RateLimitsConfiguration {
  const { pulls, failedlogins } = reading.values.holdfast.ratelimits
  for (const [name, { window }] of Object.entries({ pulls, failedlogins }))
    if (window < 1000 || window > 24 * hour) error(`holdfast.ratelimits.${name}.window`, 'is not between 1s and 24h')
  return {
    pulls: {
      anonymous: pulls.anonymous || undefined,
      signedIn: pulls.signedin || undefined,
      organizations: withoutUndefined(pulls.organizations).map(({ name, pulls: limit }, index) => {
        const at = `holdfast.ratelimits.pulls.organizations.${index}`
        if (!name) missing(`${at}.name`, 'the name of an organization')
        if (limit === undefined) missing(`${at}.pulls`, 'how many pulls')
        return { name: name ?? '', limit: limit ?? 0 }
      }),
      windowMs: pulls.window,
      exempt: withoutUndefined(pulls.exempt),
    },
    failedLogins: { address: failedlogins.address || undefined, windowMs: failedlogins.window },
  }
}

/** `holdfast.outgoing` */
export function buildOutgoing({ reading }: Build): Configuration['outgoing'] {
  return { allow: withoutUndefined(reading.values.holdfast.outgoing.allow) }
}
