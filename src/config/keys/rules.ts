import {
  booleanKind,
  durationKind,
  integerKind,
  repositoriesKind,
  sizeKind,
  spanKind,
  tagPatternKind,
  textKind,
  wordKind,
} from '../kinds.ts'
import { key, list, section } from '../nodes.ts'

const verdict = wordKind(['allow', 'deny'])

/** `holdfast.immutability` */
export const immutability = list(
  'Tags that stay where they are, or are not deleted; more such rules are set by `holdfast policy`.',
  section(
    'A rule. What any rule denies is denied.',
    {
      name: key(textKind, 'What refusals call it.'),
      repositories: key(repositoriesKind, 'In which repositories: `*` stands for any letters, slashes too.', {
        default: '*',
      }),
      tags: list('Which tags; by default all.', key(tagPatternKind, 'A pattern, or a regular expression in slashes.')),
      exclude: list('Which of them not.', key(tagPatternKind, 'A pattern, or a regular expression in slashes.')),
      overwrite: key(verdict, 'Whether such a tag may be pointed to another digest.', { default: 'deny' }),
      delete: key(verdict, 'Whether it may be deleted.', { default: 'allow' }),
    },
    { strict: true },
  ),
)

/** `holdfast.quotas` */
export const quotas = list(
  'What organizations and repositories may store; more such limits are set by `holdfast quota`, which come before these.',
  section(
    'A limit. Of several that fit that by name counts, then the first.',
    {
      scope: key(
        repositoriesKind,
        'For which organization or repository, or for each that a pattern fits: `*` each organization, `acme/*` each repository of one.',
      ),
      limit: key(sizeKind, 'How much: manifests and blobs, each once.'),
      soft: key(integerKind(1), 'From so many percent of it on it is warned.', { default: '80' }),
    },
    { strict: true },
  ),
)

const pattern = key(tagPatternKind, 'A pattern, or a regular expression in slashes.')

/** `holdfast.retention` */
export const retention = section(
  'Tags and images that go after a while; more such rules are set by `holdfast policy`.',
  {
    interval: key(durationKind, 'How often the rules are carried out.', { default: '24h' }),
    labels: key(booleanKind, 'Whether tags go by themselves whose image has a label `quay.expires-after`.', {
      default: 'true',
    }),
    rules: list(
      'What is kept, and what goes. Keeping wins; what no rule is about stays.',
      section(
        'A rule: for what it selects and all its conditions hold for.',
        {
          name: key(textKind, 'What plans call it.'),
          action: key(wordKind(['keep', 'expire']), 'What it is for.'),
          priority: key(integerKind(0), 'Of several rules that agree the lowest is named.', { default: '1000000' }),
          repositories: key(repositoriesKind, 'In which repositories: `*` stands for any letters, slashes too.', {
            default: '*',
          }),
          tags: list('Which tags; by default all.', pattern),
          exclude: list('Which of them not.', pattern),
          platforms: list(
            'Only images for one of these platforms, such as linux/arm64 or windows/*; an index is for none.',
            pattern,
          ),
          untagged: key(booleanKind, 'Whether it is about images without a tag instead.', { default: 'false' }),
          by: key(wordKind(['push', 'version']), 'What newest and beyondnewest count by; versions are semantic ones.', {
            default: 'push',
          }),
          newest: key(integerKind(1), 'It is among so many newest.'),
          beyondnewest: key(integerKind(1), 'It is not among so many newest.'),
          pushedwithin: key(spanKind, 'It was pushed in that time.'),
          olderthan: key(spanKind, 'It was pushed before that time.'),
          pulledwithin: key(spanKind, 'It was pulled in that time.'),
          notpulledfor: key(spanKind, 'It was neither pulled nor pushed in that time.'),
        },
        { strict: true },
      ),
    ),
  },
  { strict: true },
)
