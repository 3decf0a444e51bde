import { matchesPattern } from './pattern.ts'

/** What conditions and variables of policies may ask about, in the letters people know. */
const contextKeys = [
  ...['aws:SourceIp', 'aws:username', 'aws:userid', 'aws:PrincipalType', 'aws:CurrentTime', 'aws:EpochTime'],
  ...['holdfast:teams', 'holdfast:token'],
]
/** The acts of ECR's interface, those that nothing here does as well: policies written for it name them. */
const ecrActs = `BatchCheckLayerAvailability BatchDeleteImage BatchGetImage BatchGetRepositoryScanningConfiguration
  BatchImportUpstreamImage CompleteLayerUpload CreatePullThroughCacheRule CreateRepository CreateRepositoryCreationTemplate
  DeleteLifecyclePolicy DeletePullThroughCacheRule DeleteRegistryPolicy DeleteRepository DeleteRepositoryCreationTemplate
  DeleteRepositoryPolicy DescribeImageReplicationStatus DescribeImageScanFindings DescribeImages DescribePullThroughCacheRules
  DescribeRegistry DescribeRepositories DescribeRepositoryCreationTemplates GetAccountSetting GetAuthorizationToken
  GetDownloadUrlForLayer GetImageCopyStatus GetLifecyclePolicy GetLifecyclePolicyPreview GetRegistryPolicy
  GetRegistryScanningConfiguration GetRepositoryPolicy InitiateLayerUpload ListImages ListTagsForResource PutAccountSetting
  PutImage PutImageScanningConfiguration PutImageSignature PutImageTagMutability PutLifecyclePolicy PutRegistryPolicy
  PutRegistryScanningConfiguration PutReplicationConfiguration ReplicateImage SetRepositoryPolicy StartImageScan
  StartLifecyclePolicyPreview TagResource UntagResource UpdatePullThroughCacheRule UpdateRepositoryCreationTemplate
  UploadLayerPart ValidatePullThroughCacheRule`
const ownActs = ['Login', 'Pull', 'Push', 'Delete', 'Sign', 'Admin']
const acts = [...ecrActs.split(/\s+/).map((act) => `ecr:${act}`), ...ownActs.map((act) => `holdfast:${act}`)].map(
  (act) => act.toLowerCase(),
)

type Statement = Record<'Action' | 'NotAction' | 'Condition', unknown>

/**
 * What a policy that can be read says in words that mean nothing here: an action, a key of a condition or a variable. A denial with
 * one would never hold. Asked when a policy is written; those that were written before go on.
 */
export function unknownWord(document: { Version?: unknown; Statement?: unknown }): string | undefined {
  for (const [index, one] of ([document.Statement].flat() as Statement[]).entries()) {
    const actions = [one.Action ?? one.NotAction].flat().map(String)
    const action = actions.find((pattern) => !acts.some((act) => matchesPattern(pattern.toLowerCase(), act)))
    if (action !== undefined) return `Statement[${index}] has the action ${JSON.stringify(action)}, which is not known`
    const keys = Object.values((one.Condition ?? {}) as Record<string, object>).flatMap((asked) => Object.keys(asked))
    const key = keys.find((name) => !isKey(name))
    if (key !== undefined) return `Statement[${index}].Condition asks for ${JSON.stringify(key)}; ${expected}`
    if (document.Version !== '2012-10-17') continue // older ones have no variables
    const variables = [...JSON.stringify(one).matchAll(/\$\{([^}"]*)(\})?/g)]
    const variable = variables.find(([, name = '', end]) => !end || !(/^[*?$]$/.test(name) || isKey(name)))
    if (variable) return `Statement[${index}] has the variable ${JSON.stringify(variable[0])}; ${expected}`
  }
  return undefined
}

const isKey = (name: string) => contextKeys.some((key) => key.toLowerCase() === name.toLowerCase())
const expected = `expected ${contextKeys.join(', ')}`
