import { parseArgs } from 'node:util'
import { fuzzApi } from './fuzz.ts'

// The long form: `npm run fuzz-api -- [--seed N] [--examples N] [--minutes N]`.

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    examples: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '20' },
  },
})
const [seed, examples] = [Number(values.seed), Number(values.examples)]
process.stderr.write(`seed ${seed}\n`)
const output = await fuzzApi({ seed, examples, maxSeconds: 60 * Number(values.minutes) }).catch((error: Error) => {
  process.exitCode = 1
  return error.message
})
process.stdout.write(`${output}\n`)
