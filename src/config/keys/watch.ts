import { addressKind, booleanKind, durationKind, integerKind, textKind, urlKind, wordKind } from '../kinds.ts'
import { dictionary, key, list, section } from '../nodes.ts'

const interval = key(durationKind, 'How often it is looked at.', { default: '10s', zeroIsDefault: true })
const threshold = key(integerKind(0), 'How many failures in a row make the registry unhealthy.', {
  default: '1',
  zeroIsDefault: true,
})
const timeout = key(durationKind, 'How long an answer may take.', { default: '10s', zeroIsDefault: true })
// What is sent to others may sign us in there.
const headers = dictionary('Headers that are sent.', list('The header.', key(textKind, 'A value.', { secret: true })))

export const health = section('What makes the registry unhealthy, at `/debug/health` of the debug listener.', {
  storagedriver: section('The folder of the images.', {
    enabled: key(booleanKind, 'Whether it is looked at.', { default: 'false' }),
    interval,
    threshold,
  }),
  file: list(
    'A file whose presence takes the registry out of service.',
    section('One file.', {
      file: key(textKind, 'Its path.'),
      interval,
      threshold: key(integerKind(0), 'Not used by registry:2 either.', {
        status: { ignored: 'the first look at the file decides', quiet: true },
      }),
    }),
    { variable: 'FILECHECKERS' },
  ),
  http: list(
    'An HTTP server that must answer.',
    section('One server.', {
      uri: key(urlKind, 'What is asked for, by HEAD.'),
      statuscode: key(integerKind(0), 'The status it must answer.', { default: '200', zeroIsDefault: true }),
      headers,
      timeout,
      interval,
      threshold,
    }),
    { variable: 'HTTPCHECKERS' },
  ),
  tcp: list(
    'A TCP server that must accept connections.',
    section('One server.', { addr: key(addressKind, 'HOST:PORT of it.'), timeout, interval, threshold }),
    { variable: 'TCPCHECKERS' },
  ),
})

const action = key(wordKind(['push', 'pull', 'mount', 'delete']), 'What happened.')
const mediaType = key(textKind, 'A media type.')

export const notifications = section('Telling others what was pushed, pulled, mounted and deleted.', {
  events: section(
    'What an event holds.',
    {
      includereferences: key(booleanKind, 'Whether it lists what a manifest refers to.', { default: 'false' }),
    },
    { variable: 'EVENTCONFIG' },
  ),
  endpoints: list(
    'Who is told.',
    section('One of them.', {
      name: key(textKind, 'A name for the log and the metrics.'),
      disabled: key(booleanKind, 'Whether it is left out.', { default: 'false' }),
      url: key(urlKind, 'Where events are posted.', { secret: true }),
      headers,
      timeout: key(durationKind, 'How long an answer may take.', { default: '1s', zeroIsDefault: true }),
      threshold: key(integerKind(0), 'How many failures in a row make it pause.', {
        default: '10',
        zeroIsDefault: true,
      }),
      backoff: key(durationKind, 'How long it pauses.', { default: '1s', zeroIsDefault: true }),
      ignoredmediatypes: list('The older name of `ignore.mediatypes`; both count.', mediaType),
      ignore: section('What it is not told.', {
        mediatypes: list('Events about these media types.', mediaType),
        actions: list('Events of these kinds.', action),
      }),
    }),
  ),
})
