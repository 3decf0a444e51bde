import { textKind } from '../kinds.ts'
import { key, opaque, option, section } from '../nodes.ts'

export const auth = section(
  'Who may come in: one of htpasswd, silly and none. Without it everyone may do everything.',
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
    token: opaque('Tokens from a server that clients sign in at.', { later: 'sign-in by tokens', unsafe: true }),
  },
  { strict: true, choice: true },
)
