import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningRegistry, startRegistry } from '../support/registry.ts'
import { type Client, createClient, type Reply } from './client.ts'
import { type Findings, inspect, makeImage, noFindings, pushWhole } from './images.ts'
import { type Fault, injectAt, type Point, pointsOf } from './inject.ts'
import { operations } from './operations.ts'

export interface SweepOptions {
  faults: Fault[]
  /** Names of operations; all by default. */
  only?: string[]
  /** At most so many points of one kind of call, evenly spread; all of them without it. */
  perCall?: number
  progress?: (soFar: object) => void
}

interface Sweep extends Findings {
  trials: number
  /** Trials in which the fault happened. */
  injected: number
  acknowledged: number
  /** Trials whose operation did not succeed when it was asked for again. */
  notRecovered: number
  /** Answers to a fault that name no code, or not the right status. */
  unclear: number
  /** Answers with a path of the server in them. */
  leaks: number
}

/** P3: a fault at every call that changes the file system, of every operation; then everything must be right, and work again. */
export async function runSweep({ faults, only, perCall, progress }: SweepOptions): Promise<Sweep> {
  const data = await mkdtemp(join(tmpdir(), 'holdfast-sweep-'))
  const start = () => startRegistry({ data, env: { UV_THREADPOOL_SIZE: '1' } })
  const result: Sweep = {
    trials: 0,
    injected: 0,
    acknowledged: 0,
    notRecovered: 0,
    unclear: 0,
    leaks: 0,
    ...noFindings(),
  }
  const state: State = { server: await start(), start, data, result }
  try {
    for (const [index, [name, operation]] of Object.entries(operations).entries()) {
      if (only && !only.includes(name)) continue
      const client = await warmClient(state.server)
      const model = await operation(client, `model${index}`)
      const points = choose(await pointsOf(state.server.pid, model.act), perCall)
      client.close()
      for (const fault of faults) {
        for (const [nth, point] of points.entries())
          await runTrial(state, name, {
            point,
            fault,
            repository: `op${index}/${fault.toLowerCase().replace('+', 's')}/${nth}`,
          })
        progress?.({ lastSwept: `${name}, ${fault}`, ...result })
      }
    }
    return result
  } finally {
    await state.server.stop('SIGKILL')
    await rm(data, { recursive: true, force: true })
  }
}

interface State {
  server: RunningRegistry
  start(): Promise<RunningRegistry>
  data: string
  result: Sweep
}

async function runTrial(
  state: State,
  name: string,
  { point, fault, repository }: { point: Point; fault: Fault; repository: string },
): Promise<void> {
  const { result, data } = state
  const client = await warmClient(state.server)
  const trial = await operations[name]!(client, repository)
  const label = `${name}, ${fault} at ${point.thread} ${point.call} ${point.n}`
  const marked = result.details.length
  const attached = await injectAt(state.server.pid, point, fault)
  const reply = await trial.act().catch(() => undefined)
  const acknowledged = reply !== undefined && trial.done(reply)
  const traced = await attached.detach()
  client.close()
  result.trials++
  if (fault === 'SIGKILL' ? reply === undefined : traced.some((line) => line.includes('INJECTED'))) result.injected++
  if (acknowledged) result.acknowledged++
  else if (reply) judgeRefusal(reply, { fault, point }, data, result)

  if (fault === 'SIGKILL') {
    await state.server.stop('SIGKILL')
    state.server = await state.start()
  }
  const after = createClient(state.server.url)
  await trial.check(after, acknowledged, result)
  const again = await operationAgain(trial.act, client, after)
  if (!again || !trial.done(again)) {
    result.notRecovered++
    result.details.push(`again: ${again?.status} ${again?.body.toString().slice(0, 200)}`)
  } else await trial.check(after, true, result)
  after.close()
  for (let i = marked; i < result.details.length; i++) result.details[i] = `${label}: ${result.details[i]}`
}

/** The trial holds the client it was made with; after a restart the server listens on another port. */
async function operationAgain(
  act: () => Promise<Reply | undefined>,
  old: Client,
  now: Client,
): Promise<Reply | undefined> {
  old.request = now.request
  return act().catch(() => undefined)
}

function judgeRefusal(
  { status, body }: Reply,
  { fault, point }: { fault: Fault; point: Point },
  data: string,
  result: Sweep,
): void {
  const text = body.toString()
  if (text.includes(data) || /\/(src|holdfast|docker)\//.test(text)) {
    result.leaks++
    result.details.push(`leak: ${text.slice(0, 200)}`)
  }
  // SQLite tells a failed write for want of space from others, a failed fsync it does not.
  const known = fault.startsWith('ENOSPC') && !(point.thread === 'database' && point.call.endsWith('sync'))
  const wanted = known ? [507] : [500, 503, 507]
  if (wanted.includes(status) && /"code":"[A-Z]+"/.test(text)) return
  result.unclear++
  result.details.push(`unclear: ${status} ${text.slice(0, 200)}`)
}

/** A client of a server that has written before, so that every thread is there. */
async function warmClient(server: RunningRegistry): Promise<Client> {
  const client = createClient(server.url)
  const image = makeImage('warm', 'v1', Buffer.from('warm'))
  const { status } = await pushWhole(client, image)
  if (status !== 201) throw new Error(`Cannot push after a trial: ${status}`)
  await inspect(client, image, true, noFindings())
  return client
}

function choose(points: Point[], perCall = Infinity): Point[] {
  const groups = Map.groupBy(points, ({ thread, call }) => `${thread} ${call}`)
  return [...groups.values()].flatMap((group) => {
    const step = Math.max(1, group.length / perCall)
    return Array.from({ length: Math.min(group.length, perCall) }, (_, index) => group[Math.floor(index * step)]!)
  })
}
