/** The database as it may be told: without its password. */
export function nameOf(url: string): string {
  if (!URL.canParse(url)) return 'the database'
  const { hostname, port, pathname, searchParams } = new URL(url)
  return `${hostname || searchParams.get('host') || 'localhost'}${port && `:${port}`}${pathname}`
}
