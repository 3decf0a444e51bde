import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hostHeader } from '../address.ts'
import { addressOf, redirectAddressOf, type S3Address } from './address.ts'

const plain: S3Address = {
  bucket: 'images',
  region: 'eu-central-1',
  regionEndpoint: undefined,
  redirectEndpoint: undefined,
  pathStyle: false,
  secure: true,
  dualStack: false,
  accelerate: false,
  fips: false,
}

describe('the address of a bucket', () => {
  for (const [change, expected] of [
    [{}, 'https://images.s3.eu-central-1.amazonaws.com/'],
    [{ pathStyle: true }, 'https://s3.eu-central-1.amazonaws.com/images/'],
    [{ bucket: 'my.images' }, 'https://s3.eu-central-1.amazonaws.com/my.images/'],
    [{ secure: false }, 'http://images.s3.eu-central-1.amazonaws.com/'],
    [{ dualStack: true }, 'https://images.s3.dualstack.eu-central-1.amazonaws.com/'],
    [{ fips: true }, 'https://images.s3-fips.eu-central-1.amazonaws.com/'],
    [{ accelerate: true, dualStack: true }, 'https://images.s3-accelerate.dualstack.amazonaws.com/'],
    [{ region: 'cn-north-1' }, 'https://images.s3.cn-north-1.amazonaws.com.cn/'],
    [{ regionEndpoint: 'http://minio:9000', pathStyle: true }, 'http://minio:9000/images/'],
    [{ regionEndpoint: 'minio:9000', pathStyle: true, secure: false }, 'http://minio:9000/images/'],
    [{ regionEndpoint: 'https://store.test/s3/', pathStyle: true }, 'https://store.test/s3/images/'],
    [{ regionEndpoint: 'https://store.test' }, 'https://images.store.test/'],
    [{ regionEndpoint: 'http://[::1]:9000', pathStyle: true }, 'http://[::1]:9000/images/'],
  ] as const)
    it(`is ${expected}`, () => {
      const { endpoint, base } = addressOf({ ...plain, ...change })
      assert.equal(`${endpoint.protocol}//${hostHeader(endpoint)}${base}`, expected)
    })

  it('is another one for clients where that is said', () => {
    const address = { ...plain, regionEndpoint: 'http://minio:9000', pathStyle: true }
    assert.equal(redirectAddressOf(address).endpoint.hostname, 'minio')
    const outside = redirectAddressOf({ ...address, redirectEndpoint: 'https://store.example.com' })
    assert.deepEqual(
      [outside.endpoint.protocol, outside.endpoint.hostname, outside.base],
      ['https:', 'store.example.com', '/images/'],
    )
  })
})
