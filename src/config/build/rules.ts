import type { ImmutabilityRule } from '../../rules/immutability.ts'
import { type Build, withoutUndefined } from './tools.ts'

/** `holdfast.immutability` */
export function buildImmutability({ reading, error }: Build): ImmutabilityRule[] {
  return reading.values.holdfast.immutability.map(
    ({ name, repositories, tags, exclude, overwrite, delete: deletes }, index) => {
      const at = `holdfast.immutability.${index}`
      if (overwrite === 'allow' && deletes === 'allow')
        error(at, 'denies nothing: expected overwrite or delete to be deny')
      const given = withoutUndefined(tags)
      return {
        name: `${name ?? index + 1} of the configuration`,
        scope: '*',
        repositories,
        tags: given.length > 0 ? given : ['*'],
        exclude: withoutUndefined(exclude),
        overwrite,
        delete: deletes,
      }
    },
  )
}
