import { hash } from 'node:crypto'
import type { AuditRecord } from './account-facts.ts'

/** The hash of a record of the audit log, which vouches for all before it. */
export function auditHash({ sequence, at, previous, body }: Omit<AuditRecord, 'hash'>): string {
  return hash('sha256', JSON.stringify([previous, sequence, at, body]))
}
