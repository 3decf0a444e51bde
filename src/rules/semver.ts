/** A version by semver.org 2.0, with or without a `v`. */
export interface Version {
  core: readonly [number, number, number]
  /** What follows the dash; empty: a release. */
  prerelease: readonly string[]
}

const grammar =
  /^v?(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})(?:-([0-9a-z-]{1,100}(?:\.[0-9a-z-]{1,100}){0,20}))?$/i

/** Undefined for what is no whole version, such as `latest` or `v1`; tags have no plus, so no build either. */
export function parseVersion(text: string): Version | undefined {
  const [, major, minor, patch, prerelease] = grammar.exec(text) ?? []
  if (major === undefined) return undefined
  const parts = prerelease?.split('.') ?? []
  if (parts.some((part) => /^0\d+$/.test(part))) return undefined
  return { core: [Number(major), Number(minor), Number(patch)], prerelease: parts }
}

/** Negative where the first version comes before the second (section 11 of the specification). */
export function compareVersions(a: Version, b: Version): number {
  for (const index of [0, 1, 2] as const) if (a.core[index] !== b.core[index]) return a.core[index] - b.core[index]
  if (a.prerelease.length === 0 || b.prerelease.length === 0)
    return Number(a.prerelease.length === 0) - Number(b.prerelease.length === 0)
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index]
    if (other === undefined) return 1
    const difference = compareParts(part, other)
    if (difference !== 0) return difference
  }
  return a.prerelease.length - b.prerelease.length
}

function compareParts(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (isNumber && isOtherNumber) return a.length === b.length ? compareTexts(a, b) : a.length - b.length
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1
  return compareTexts(a, b)
}

const compareTexts = (a: string, b: string) => (a < b ? -1 : Number(a > b))
