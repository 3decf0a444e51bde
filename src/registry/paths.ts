import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts'

// Where bytes lie below the root of the storage:
//
//   docker/registry/v2/blobs/<algorithm>/<first two hex digits>/<hex>/data     as in registry:2, so a volume can be given back
//   holdfast/uploads/<id>                                                      ours: bytes on their way in
//   holdfast/quarantine/<digest>                                               ours: bytes that are not what their name says
// What the tree of links beside the blobs looks like: volume/layout.ts.

export function blobPath(digest: Digest): string {
  const hex = hexOf(digest)
  return `docker/registry/v2/blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`
}

export const uploadsPath = 'holdfast/uploads'

export function uploadPath(id: string): string {
  return `${uploadsPath}/${id}`
}

export const quarantineFolder = 'holdfast/quarantine'

export function quarantinePath(digest: Digest): string {
  return `${quarantineFolder}/${digest}`
}
