import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { OciError } from '../oci/errors.ts'
import { createRouter } from './router.ts'
import { reply, route } from './types.ts'

const patterns = [
  ['GET HEAD', '/v2/'],
  ['GET', '/v2/:repository+/manifests/:reference'],
  ['PUT', '/v2/:repository+/manifests/:reference'],
  ['GET', '/v2/:repository+/blobs/:digest'],
  ['POST', '/v2/:repository+/blobs/uploads/'],
  ['PATCH', '/v2/:repository+/blobs/uploads/:id'],
  ['GET', '/v2/:repository+/tags/list'],
  ['GET', '/v2/_catalog'],
] as const
const none = async () => reply(200)
const find = createRouter(patterns.map(([methods, pattern]) => route(methods, pattern, () => [], none)))
const component = fc.constantFrom('a', 'tags', 'list', 'blobs', 'manifests', 'uploads', 'v2', 'b.c')
const repository = fc.array(component, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'))
const codeOf = (code: string) => (error: unknown) => error instanceof OciError && error.code === code

describe('the router', () => {
  it('takes a path apart from the right, whatever words the repository holds', () => {
    fc.assert(
      fc.property(repository, component, (repository, last) => {
        for (const [method, path, params] of [
          ['PUT', `/v2/${repository}/manifests/${last}`, { repository, reference: last }],
          ['POST', `/v2/${repository}/blobs/uploads/`, { repository }],
          ['PATCH', `/v2/${repository}/blobs/uploads/${last}`, { repository, id: last }],
        ] as const)
          assert.deepEqual(find(method, path).params, params)
      }),
    )
  })

  it('finds the same route for the same path, or refuses, whatever the path', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(component, fc.string()), { maxLength: 7 }), (parts) => {
        try {
          assert.ok(find('GET', `/${parts.join('/')}`).route)
        } catch (error) {
          assert.ok(error instanceof OciError)
        }
      }),
    )
  })

  for (const path of [
    '/',
    '/v2',
    '/v2//',
    '//v2/',
    '/V2/',
    '/v2/a',
    '/v2/a/tags/list/',
    '/v2/manifests/v1',
    '/v2/a/tags/List',
  ]) {
    it(`finds nothing at ${path}`, () => assert.throws(() => find('GET', path), codeOf('NAME_UNKNOWN')))
  }

  it('names the methods there are', () => {
    assert.throws(
      () => find('DELETE', '/v2/a/manifests/v1'),
      (error: unknown) => codeOf('UNSUPPORTED')(error) && (error as OciError).headers.Allow === 'GET, PUT',
    )
  })

  for (const [path, repository, reference] of [
    ['/v2/a/manifests/sha256%3Aabc', 'a', 'sha256:abc'],
    ['/v2/a%2Fb/manifests/v1', 'a%2Fb', 'v1'],
    ['/v2/a/manifests/b%2fc', 'a', 'b%2fc'],
    ['/v2/a/manifests/%2561', 'a', '%61'],
    ['/v2/a/manifests/%', 'a', '%'],
    ['/v2/%61/manifests/%E4', 'a', '%E4'],
    ['/v2/../manifests/v1', '..', 'v1'],
  ] as const) {
    it(`decodes ${path} once and leaves slashes encoded`, () => {
      assert.deepEqual(find('GET', path).params, { repository, reference })
    })
  }
})
