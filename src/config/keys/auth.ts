import { booleanKind, textKind, wordKind } from '../kinds.ts'
import { key, list, option, section } from '../nodes.ts'

const bits = ['256', '384', '512']
const algorithms = ['EdDSA', ...['RS', 'PS', 'ES', 'HS'].flatMap((family) => bits.map((size) => `${family}${size}`))]

export const auth = section(
  'Who may come in: one of htpasswd, token, silly and none. Without it everyone may do everything.',
  {
    htpasswd: option('Names and passwords from a file.', {
      realm: key(textKind, 'What clients are told they sign in to.', { default: 'basic-realm' }),
      path: key(textKind, 'The file, made by `htpasswd -B`; read again when it changes.'),
    }),
    silly: option('A toy for tests: whoever sends an `Authorization` header is let in.', {
      realm: key(textKind, 'What clients are told they sign in to.'),
      service: key(textKind, 'The name of the service clients are told.'),
    }),
    none: option('Nobody signs in.', {}),
    token: option(
      'Tokens from a server that clients sign in at.',
      {
        realm: key(textKind, 'The URL where clients fetch tokens.'),
        service: key(textKind, 'What this registry is called in tokens.'),
        issuer: key(textKind, 'Who issues them.'),
        rootcertbundle: key(
          textKind,
          'The file with the certificates of those who sign them, or of their authority (PEM).',
        ),
        jwks: key(textKind, 'The file with the keys of those who sign them (JWKS).'),
        signingalgorithms: list(
          'How they may be signed; by default all but HS.',
          key(wordKind(algorithms), "JOSE's name of it."),
        ),
        autoredirect: key(booleanKind, 'Whether clients fetch tokens under the name they call this registry by.', {
          default: 'false',
        }),
        autoredirectpath: key(textKind, 'At which path they do then.', { default: '/auth/token' }),
      },
      { strict: true },
    ),
  },
  { strict: true, choice: true },
)
