import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLog, type LogLevel } from './log.ts'

function logOf(level: LogLevel) {
  const lines: string[] = []
  const log = createLog(level, (line) => void lines.push(line), { now: () => new Date(0) })
  return { log, lines }
}

describe('the log', () => {
  it('writes one line for an event, with its fields in order', () => {
    const { log, lines } = logOf('info')
    log.info('tag.moved', { repository: 'a/b', size: 3, tags: ['v1'], there: true })
    assert.deepEqual(lines, ['1970-01-01T00:00:00.000Z info  tag.moved repository=a/b size=3 tags=["v1"] there=true\n'])
  })

  for (const [level, written] of [
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as const) {
    it(`at ${level} writes ${written.join(', ')}`, () => {
      const { log, lines } = logOf(level)
      for (const name of ['debug', 'info', 'warn', 'error'] as const) log[name](name)
      assert.deepEqual(
        lines.map((line) => line.trim().split(/ +/)[2]),
        written,
      )
    })
  }

  for (const [formatter, expected] of [
    ['text', '1970-01-01T00:00:00.000Z warn  a.event size=3 service=registry\n'],
    ['json', '{"size":3,"service":"registry","level":"warning","msg":"a.event","time":"1970-01-01T00:00:00.000Z"}\n'],
    [
      'logstash',
      '{"size":3,"service":"registry","@timestamp":"1970-01-01T00:00:00.000Z","@version":"1","level":"warning","message":"a.event"}\n',
    ],
  ] as const) {
    it(`writes ${formatter} with the fields of the configuration`, () => {
      const lines: string[] = []
      const style = { formatter, fields: { service: 'registry' } }
      const log = createLog('info', (line) => void lines.push(line), { now: () => new Date(0) }, style)
      log.warn('a.event', { size: 3 })
      assert.deepEqual(lines, [expected])
    })
  }

  for (const [what, value, expected] of [
    ['a space', 'two words', '"two words"'],
    ['a quote', 'say "x"', String.raw`"say \"x\""`],
    ['a line end, which could forge a line', 'x\n1970 error forged', String.raw`"x\n1970 error forged"`],
    ['an escape sequence', '\u001b[31mred', String.raw`"\u001b[31mred"`],
    ['nothing', '', '""'],
    ['no value', undefined, 'undefined'],
    ['2,500 letters, cut', 'x'.repeat(2500), 'x'.repeat(2000)],
  ] as const) {
    it(`writes a field with ${what} so that it stays one field`, () => {
      const { log, lines } = logOf('info')
      log.info('event', { field: value })
      assert.equal(lines.length, 1)
      assert.equal(lines[0], `1970-01-01T00:00:00.000Z info  event field=${expected}\n`)
    })
  }
})
