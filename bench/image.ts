import { imageType, must, parallel, pushBlob, putManifest, randomFile, run, sha256 } from './load.ts'
import { layerSizes, upload } from './scenarios/blobs.ts'

export interface Image {
  layers: { path: string; digest: string; bytes: number }[]
  config: Buffer
  manifest: Buffer
  bytes: number
}

/** A usual runtime image: 350 MB in eight layers, others for each number. */
export async function usualImage(number = 0): Promise<Image> {
  const seed = 100 + 10 * number
  const layers = await Promise.all(layerSizes.map((size, index) => randomFile(size, seed + index)))
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: imageType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
      layers: layers.map(({ digest, bytes }) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest,
        size: bytes,
      })),
    }),
  )
  return { layers, config, manifest, bytes: layers.reduce((sum, { bytes }) => sum + bytes, 0) }
}

/** As docker does it where nothing of it is there. */
export async function pushImage(url: string, repository: string, image: Image): Promise<void> {
  await parallel(4, image.layers.length, (index) => upload(url, repository, image.layers[index]!))
  await pushBlob(url, repository, image.config)
  await putManifest(url, repository, 'v1', image.manifest)
}

/** As docker does it where all of it is there. */
export async function pushAgain(url: string, repository: string, image: Image): Promise<void> {
  const digests = [...image.layers.map(({ digest }) => digest), sha256(image.config)]
  await parallel(4, digests.length, (index) => must(200, 'HEAD', `${url}/v2/${repository}/blobs/${digests[index]}`))
  await putManifest(url, repository, 'v1', image.manifest)
}

/** As docker does it: the manifest, then three blobs at a time. */
export async function pullImage(url: string, repository: string, image: Image): Promise<void> {
  await must(200, 'GET', `${url}/v2/${repository}/manifests/v1`, undefined, { Accept: imageType })
  const digests = [...image.layers.map(({ digest }) => digest), sha256(image.config)]
  const outputs = digests.flatMap((digest) => ['-o', '/dev/null', `${url}/v2/${repository}/blobs/${digest}`])
  await run('curl', ['-sS', '-f', '-L', '--parallel', '--parallel-max', '3', ...outputs])
}
