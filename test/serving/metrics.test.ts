import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type TestApp, useApp } from '../support/app.ts'
import { call } from '../support/client.ts'
import { pushImage, sha256 } from '../support/registry.ts'

const start = (metricsPath: string | undefined = '/metrics') =>
  useApp(({ http }) => (http.debug = { address: { host: '127.0.0.1', port: 0 }, metricsPath }))
const read = async ({ debugPort }: TestApp) => (await fetch(`http://127.0.0.1:${debugPort}/metrics`)).text()

/** Values by name and labels. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

describe('metrics', () => {
  it("count requests under registry:2's names", async () => {
    const app = await start()
    const url = `http://127.0.0.1:${app.port}`
    await pushImage(url, 'a/b', 'v1', [Buffer.from('layer')])
    for (const path of [
      '/v2/',
      '/v2/_catalog',
      '/v2/a/b/tags/list',
      '/v2/a/b/manifests/v1',
      '/v2/a/b/manifests/none',
      '/nothing',
    ])
      await call(url, 'GET', path)
    await call(url, 'GET', `/v2/a/b/blobs/${sha256('layer')}`)
    const values = samples(await read(app))
    for (const [name, value] of [
      ['registry_http_requests_total{code="200",handler="base",method="get"}', 1],
      ['registry_http_requests_total{code="200",handler="catalog",method="get"}', 1],
      ['registry_http_requests_total{code="200",handler="tags",method="get"}', 1],
      ['registry_http_requests_total{code="201",handler="manifest",method="put"}', 1],
      ['registry_http_requests_total{code="200",handler="manifest",method="get"}', 1],
      ['registry_http_requests_total{code="404",handler="manifest",method="get"}', 1],
      ['registry_http_requests_total{code="202",handler="blob_upload",method="post"}', 2],
      ['registry_http_requests_total{code="201",handler="blob_upload_chunk",method="put"}', 2],
      ['registry_http_request_duration_seconds_count{handler="manifest",method="get"}', 2],
      ['registry_http_request_duration_seconds_bucket{handler="manifest",method="get",le="+Inf"}', 2],
      ['registry_http_response_size_bytes_sum{handler="blob"}', 5],
      ['registry_http_in_flight_requests{handler="blob"}', 0],
      ['holdfast_uploads_open', 0],
    ] as const)
      assert.equal(values.get(name), value, name)
    for (const name of [
      'registry_http_request_size_bytes_count{handler="blob_upload"}',
      'registry_storage_action_seconds_count{action="Writer",driver="filesystem"}',
      'registry_storage_action_seconds_count{action="Move",driver="filesystem"}',
      'holdfast_database_commit_seconds_count',
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
      'process_start_time_seconds',
      'process_open_fds',
    ])
      assert.ok(values.get(name)! > 0, name)
    assert.ok(Math.abs(values.get('process_start_time_seconds')! - Date.now() / 1000) < 600)
    assert.equal(
      [...values].some(([name]) => name.includes('nothing')),
      false,
    )
  })

  it('are text that Prometheus reads: help, type, cumulated buckets', async () => {
    const app = await start()
    await call(`http://127.0.0.1:${app.port}`, 'GET', '/v2/')
    const text = await read(app)
    assert.ok(text.endsWith('\n'))
    for (const line of text.trimEnd().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(\{([a-z]+="[^"\n]*",?)+\})? [0-9.e+-]+)$/)
    const buckets = [...samples(text)].filter(([name]) =>
      name.startsWith('registry_http_request_duration_seconds_bucket'),
    )
    assert.equal(buckets.length, 14)
    assert.deepEqual(
      buckets.map(([, value]) => value),
      buckets.map(([, value]) => value).toSorted((a, b) => a - b),
    )
  })

  it('are counted only where they are asked for', async () => {
    const app = await useApp(
      ({ http }) => (http.debug = { address: { host: '127.0.0.1', port: 0 }, metricsPath: undefined }),
    )
    assert.equal((await fetch(`http://127.0.0.1:${app.debugPort}/metrics`)).status, 404)
  })
})
