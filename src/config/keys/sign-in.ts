import { booleanKind, durationKind, integerKind, ldapKind, networkKind, textKind, urlKind, wordKind } from '../kinds.ts'
import { dictionary, key, list, section } from '../nodes.ts'

/** `holdfast.tokens` */
export const tokens = section(
  'The token service: clients sign in once and go on with tokens that last minutes.',
  {
    enabled: key(
      booleanKind,
      'Whether clients are told to fetch tokens; by default where `holdfast.access` or `holdfast.admin` is given and `auth` is not.',
    ),
    realm: key(urlKind, "Where clients fetch tokens; this registry's own `/token` under the name it is called by."),
    service: key(textKind, 'What this registry is called in tokens.', { default: 'holdfast' }),
    issuer: key(textKind, 'Who issues them, for other registries that accept them.', { default: 'holdfast' }),
    services: list(
      'Other registries that accept them, by the `service` of their `auth.token`.',
      key(textKind, 'A service.'),
    ),
    expiration: key(durationKind, 'How long a token lasts: from 60s to 1h.', { default: '5m' }),
    offline: key(
      booleanKind,
      'Whether `docker login` is given a refresh token, which it keeps instead of the password; not every reader of its file knows them.',
      { default: 'false' },
    ),
  },
  { strict: true },
)

/** `holdfast.workloadidentity` */
export const workloadIdentity = list(
  'Jobs that sign in with what their platform says of them, such as GitHub Actions, GitLab CI or Kubernetes.',
  section(
    'What a token must say, and what its bearer may do then.',
    {
      name: key(textKind, 'What the rule is called, and its jobs where `robot` is not set.'),
      issuer: key(urlKind, 'Who issues the tokens: their `iss`, exactly.'),
      audience: list('For whom they are issued: one of these; `http.host` by default.', key(textKind, 'An `aud`.')),
      jwks: key(textKind, "A file with the issuer's keys (JWKS); without it they are fetched from the issuer."),
      claims: dictionary(
        'What the token must say. One of them must be `sub` or a claim that ends in `_id`: names can be given to others.',
        list('One of these.', key(textKind, 'A value; `*` stands for any letters.')),
      ),
      robot: key(textKind, 'As whom the job acts.'),
      grants: list(
        'What it may do, and nothing else; without them what `robot` may.',
        section(
          'A grant.',
          {
            repository: key(textKind, 'A name; `*` stands for any letters but a slash, `**` for any.'),
            actions: list('What it may do there.', key(wordKind(['pull', 'push', 'delete']), 'An action.')),
          },
          { strict: true },
        ),
      ),
      expiration: key(durationKind, 'How long what it is given in exchange lasts: 1h at most.', { default: '1h' }),
    },
    { strict: true },
  ),
)

/** What groups of others stand for. */
const groups = (name: string) =>
  list(
    'What groups stand for, looked at with each sign-in there.',
    section(
      'A group: one of team and administrator.',
      {
        group: key(textKind, name),
        team: key(textKind, 'The team whose members it has: ORGANIZATION/TEAM.'),
        administrator: key(booleanKind, 'Whether its members administer the registry.', { default: 'false' }),
      },
      { strict: true },
    ),
  )

/** `holdfast.ldap` */
export const ldap = section(
  'Users of an LDAP server: their passwords are tried there, and their accounts made at the first sign-in.',
  {
    url: key(ldapKind, 'The server. Without TLS it must be on this machine.'),
    starttls: key(booleanKind, 'Whether an `ldap://` connection goes over to TLS first.', { default: 'false' }),
    ca: key(textKind, "The file with the certificates of those who sign the server's (PEM); the system's by default."),
    binddn: key(textKind, 'As whom entries are looked for; by default as nobody.'),
    bindpasswordfile: key(textKind, 'The file that holds its password.', { variable: 'BINDPASSWORD_FILE' }),
    bindpassword: key(textKind, 'Its password.', { secret: true }),
    base: key(textKind, 'Below what users are looked for, such as ou=people,dc=example,dc=com.'),
    userfilter: key(textKind, 'By what: `{user}` is the name that was given.', { default: '(uid={user})' }),
    groupbase: key(textKind, 'Below what groups are looked for; by default they are not.'),
    groupfilter: key(textKind, 'By what: `{dn}` is the entry of the user, `{user}` the name.', {
      default: '(|(member={dn})(uniqueMember={dn})(memberUid={user}))',
    }),
    groups: groups('Its whole name, or what it is called (`cn`).'),
    timeout: key(durationKind, 'How long an answer may take.', { default: '5s' }),
  },
  { strict: true },
)

/** `holdfast.openid` */
export const openid = section(
  'Users of a provider of OpenID Connect: they sign in there by browser, and have accounts from the first time on.',
  {
    issuer: key(urlKind, 'The provider, exactly as it calls itself.'),
    clientid: key(textKind, 'What this registry is called there. It sends browsers back to `/oidc/callback`.'),
    clientsecretfile: key(textKind, 'The file that holds its secret.', { variable: 'CLIENTSECRET_FILE' }),
    clientsecret: key(textKind, 'Its secret; without one it is a public client.', { secret: true }),
    scopes: list('What is asked for beside `openid`; `profile` by default.', key(textKind, 'A scope.')),
    usernameclaim: key(textKind, 'The claim that names the account.', { default: 'preferred_username' }),
    groupsclaim: key(textKind, 'The claim that lists groups.', { default: 'groups' }),
    groups: groups('What the claim says.'),
  },
  { strict: true },
)

/** `holdfast.clientcertificates` */
export const clientCertificates = list(
  'Whom certificates stand for that clients show, signed by one of `http.tls.clientcas`; the first rule that fits.',
  section(
    'One name of the certificate, and the account. `*`, once, stands for letters, digits, `.`, `_` and `-`.',
    {
      commonname: key(textKind, 'The common name (CN) of its subject.'),
      dns: key(textKind, 'A DNS name, in small letters.'),
      uri: key(textKind, 'A URI, such as a SPIFFE id.'),
      email: key(textKind, 'An address of e-mail, in small letters.'),
      account: key(textKind, 'The user or robot; `*` is what that of the name stood for.'),
    },
    { strict: true },
  ),
)

/** `holdfast.outgoing` */
export const outgoing = section(
  'Whom the registry itself may ask.',
  {
    allow: list(
      'Networks that are not public and may be asked nevertheless, such as 10.0.0.0/8 for issuers in the cluster.',
      key(networkKind, 'An address or a network.'),
    ),
  },
  { strict: true },
)

/** `holdfast.ratelimits` */
export const rateLimits = section(
  'How much is too much.',
  {
    pulls: section(
      'Pulls of manifests, as Docker Hub counts them; with PostgreSQL all nodes count together.',
      {
        anonymous: key(integerKind(0), 'How many an address may do without signing in; 0: any number.', {
          default: '0',
        }),
        signedin: key(integerKind(0), 'How many a user or robot may do; 0: any number.', { default: '0' }),
        organizations: list(
          'What members and robots of an organization may do together, beside their own limits; of several the first one counts.',
          section(
            'An organization and its limit.',
            {
              name: key(textKind, 'The organization.'),
              pulls: key(integerKind(1), 'How many.'),
            },
            { strict: true },
          ),
        ),
        window: key(durationKind, 'In how long.', { default: '6h' }),
        exempt: list('Users and robots who may always.', key(textKind, 'A name.')),
      },
      { strict: true },
    ),
    failedlogins: section(
      'Wrong passwords and tokens.',
      {
        address: key(integerKind(0), 'How many may come from an address before it must wait; 0: any number.', {
          default: '0',
        }),
        window: key(durationKind, 'In how long.', { default: '10m' }),
      },
      { strict: true },
    ),
  },
  { strict: true },
)
