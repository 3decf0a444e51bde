import { repositoriesKind, tagPatternKind, textKind, wordKind } from '../kinds.ts'
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
