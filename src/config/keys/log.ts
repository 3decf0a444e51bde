import { booleanKind, textKind, wordKind } from '../kinds.ts'
import { dictionary, key, opaque, section } from '../nodes.ts'

const levels = ['debug', 'info', 'warn', 'error'] as const

export const log = section('What is written about what happens.', {
  level: key(wordKind(levels), 'The least important lines that are written.', { default: 'info' }),
  formatter: key(wordKind(['text', 'json', 'logstash']), 'How a line looks.', { default: 'text' }),
  fields: dictionary('Fields that each line carries.', key(textKind, 'The text of the field.')),
  accesslog: section('One line a request, in the Combined Log Format, on standard output.', {
    disabled: key(booleanKind, 'Whether requests are left out.', { default: 'false' }),
  }),
  reportcaller: key(booleanKind, 'The line of code that wrote the line.', {
    status: { ignored: 'an event has a name of its own, which says more', quiet: true },
  }),
  hooks: opaque('Mail for lines of some levels.', {
    ignored: 'the log sends no mail, leave that to what collects it',
  }),
})

export const loglevel = key(wordKind(levels), 'The older name of `log.level`, used when that is not set.')
