import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './programs.ts'

export interface Authority {
  /** The certificate's file. */
  file: string
  /** Makes a key and a certificate of this name; gives their files. */
  issue(
    name: string,
    options?: { san?: string; days?: number; client?: boolean },
  ): Promise<{ certificate: string; key: string }>
}

/** A certificate authority in this folder, made by openssl. */
export async function createAuthority(folder: string, name = 'Test CA'): Promise<Authority> {
  const id = name.replaceAll(' ', '-')
  const [key, file] = [join(folder, `${id}.key`), join(folder, `${id}.crt`)]
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', ['req', '-x509', ...ec, '-keyout', key, '-out', file, '-days', '30', '-subj', `/CN=${name}`])
  return {
    file,
    async issue(subject, { san = 'DNS:localhost,IP:127.0.0.1', days = 10, client = false } = {}) {
      const base = join(folder, `${id}-${subject}`)
      await run('openssl', ['req', ...ec, '-keyout', `${base}.key`, '-out', `${base}.csr`, '-subj', `/CN=${subject}`])
      const usage = client ? 'clientAuth' : 'serverAuth'
      await writeFile(`${base}.ext`, `subjectAltName=${san}\nextendedKeyUsage=${usage}\n`)
      const sign = ['-in', `${base}.csr`, '-CA', file, '-CAkey', key, '-CAcreateserial', '-days', String(days)]
      await run('openssl', ['x509', '-req', ...sign, '-extfile', `${base}.ext`, '-out', `${base}.crt`])
      return { certificate: `${base}.crt`, key: `${base}.key` }
    },
  }
}
