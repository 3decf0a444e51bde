import type { ClientCertificateRule } from '../configuration.ts'
import type { Build } from './tools.ts'

const fields = ['commonname', 'dns', 'uri', 'email'] as const

/** `holdfast.clientcertificates` */
export function buildClientCertificates({ reading, error, missing }: Build): ClientCertificateRule[] {
  const { http, holdfast } = reading.values
  const rules = holdfast.clientcertificates
  if (rules.length > 0 && (http.tls?.clientcas ?? []).length === 0)
    error('holdfast.clientcertificates', 'needs http.tls.clientcas: files of those who sign the certificates')
  return rules.map((rule, index) => {
    const at = `holdfast.clientcertificates.${index}`
    const given = fields.filter((field) => rule[field] !== undefined)
    const [field = 'commonname'] = given
    if (given.length !== 1) error(at, `has ${given.join(' and ') || 'no name'}: expected one of ${fields.join(', ')}`)
    const [pattern, account] = [rule[field] ?? '', rule.account ?? '']
    if (!account) missing(`${at}.account`, 'the name of a user or robot')
    if (pattern.split('*').length > 2) error(`${at}.${field}`, 'has more than one *')
    if (account.split('*').length > pattern.split('*').length || account.split('*').length > 2)
      error(`${at}.account`, `has a * that stands for nothing in ${field}`)
    return { field, pattern, account }
  })
}
