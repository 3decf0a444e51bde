/** What to do about what Google says. */
export const advice: Record<string, string> = {
  'no token':
    "no credentials, or they are not taken: check storage.gcs.keyfile or credentials, what the environment has, and this machine's clock",
  authError: "the store does not take the credentials: check storage.gcs, and this machine's clock",
  required: 'the store wants credentials: set storage.gcs.keyfile',
  forbidden: 'the credentials may not list the bucket: give them the role Storage Object Admin for it',
  notFound: 'there is no such bucket: make it, or check storage.gcs.bucket',
}
