import type { Account } from '../../../metadata/account-facts.ts'
import { type Deps, edit } from '../operations/deps.ts'
import { creation } from '../operations/tokens.ts'
import type { Device } from './device.ts'

/** Makes the access token of a device: all that its user may do, under the name by which `holdfast logout` knows it. */
export async function makeDeviceToken(
  deps: Pick<Deps, 'facts' | 'clock' | 'changed'>,
  account: Account,
  { machine, address, days }: Device,
): Promise<string> {
  const scopes = ['repo:read', 'repo:write', 'repo:delete', 'repo:admin', 'org:admin']
  if (account.isAdministrator) scopes.push('admin')
  const wanted = { name: `login from ${machine}`, scopes, expiresInDays: days }
  let secret = ''
  await edit(deps, { principal: { kind: 'user', name: account.name, address } }, async () => {
    const { made, secret: own } = await creation(deps, account, wanted)
    secret = own
    return made
  })
  return secret
}
