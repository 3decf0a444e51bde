const credentials = 'the store does not take the credentials: check storage.azure'

/** What to do about what Azure says. */
export const advice: Record<string, string> = {
  AuthenticationFailed: `${credentials}, and this machine's clock`,
  AuthorizationFailure: credentials,
  InvalidAuthenticationInfo: credentials,
  AuthorizationPermissionMismatch:
    'the credentials may not list the container: give them the role Storage Blob Data Contributor',
  AuthorizationResourceTypeMismatch: 'the shared access signature must hold for containers and objects',
  AuthorizationServiceMismatch: 'the shared access signature must hold for the blob service',
  ContainerNotFound: 'there is no such container: make it, or check storage.azure.container',
  ResourceNotFound: 'there is no such container or account: check storage.azure.container and accountname',
  InvalidResourceName: 'no container can have this name: check storage.azure.container',
  AccountIsDisabled: 'the account is disabled',
  CredentialUnavailableError: 'no credentials found: set storage.azure.accountkey, or credentials of another type',
  AggregateAuthenticationError: 'no credentials found: set storage.azure.accountkey, or credentials of another type',
  AuthenticationRequiredError: `${credentials}.credentials`,
  AuthenticationError: `${credentials}.credentials`,
}
