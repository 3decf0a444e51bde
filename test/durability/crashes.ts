import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningRegistry, startRegistry } from '../support/registry.ts'
import { createClient } from './client.ts'
import { createRandom, noFindings } from './images.ts'
import { ignoreSyncs } from './inject.ts'
import { createLedger, type Ledger, startLoad, verify } from './load.ts'
import { makeExt4 } from './mounts.ts'

export interface CrashOptions {
  trials: number
  /** Acknowledged pushes before each crash, at least. */
  pushes: number
  seed?: number
  progress?: (soFar: object) => void
  /** Makes every fsync do nothing: a power cut then has to lose something, or the test proves nothing. */
  ignoringSyncs?: boolean
}

interface Place {
  data: string
  /** The server outlives the crash for a moment and refuses what it cannot write. */
  refusesAfterwards?: boolean
  /** Ends the server at once, and whatever it did not bring to the disk with it. */
  crash(server: RunningRegistry, ledger: Ledger): Promise<void>
  dispose(): Promise<void>
}

/** P1: SIGKILL at a random moment of a load of pushes. */
export async function runKills(options: CrashOptions) {
  const data = await mkdtemp(join(tmpdir(), 'holdfast-kill-'))
  return runCrashes(options, {
    data,
    crash: async (server) => void (await server.stop('SIGKILL')),
    dispose: () => rm(data, { recursive: true, force: true }),
  })
}

/** P2: the file system stops in the middle of a load and forgets what was not flushed, as when the power goes. */
export async function runCuts(options: CrashOptions) {
  const disk = await makeExt4(600)
  const marker = join(disk.path, 'marker')
  return runCrashes(options, {
    data: join(disk.path, 'data'),
    refusesAfterwards: true,
    async crash(server, ledger) {
      await writeFile(marker, '')
      // An fsync that is under way then may say that all is well: ext4 drops the transaction and waits for none.
      ledger.isCut = true
      cutPower(marker)
      await server.stop('SIGKILL')
      await disk.remount()
    },
    dispose: disk.dispose,
  })
}

async function runCrashes({ trials, pushes, seed = 1, progress, ignoringSyncs = false }: CrashOptions, place: Place) {
  const random = createRandom(seed)
  const found = noFindings()
  const total = { trials: 0, acknowledged: 0, leastAcknowledged: Infinity, unacknowledged: 0, refused: 0 }
  const start = () => startRegistry({ data: place.data })
  let server = await start()
  try {
    for (let trial = 1; trial <= trials; trial++) {
      const ledger = createLedger()
      const ignoring = ignoringSyncs ? await ignoreSyncs(server.pid) : undefined
      const load = startLoad(server.url, ledger, random)
      const enough = pushes + Math.floor(random() * 15)
      const deadline = Date.now() + 60_000
      while (ledger.acknowledged.length < enough && ledger.refused.length === 0 && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 2))
      await new Promise((resolve) => setTimeout(resolve, random() * 20))
      await place.crash(server, ledger)
      await ignoring?.detach()
      await load.stop()
      server = await start()
      const client = createClient(server.url)
      await verify(client, ledger, found)
      client.close()
      total.trials++
      total.acknowledged += ledger.acknowledged.length
      total.leastAcknowledged = Math.min(total.leastAcknowledged, ledger.acknowledged.length)
      total.unacknowledged += ledger.open.length
      total.refused += ledger.refused.length
      if (!place.refusesAfterwards) found.details.push(...ledger.refused)
      if (trial % 10 === 0 || trial === trials) progress?.({ ...total, ...found })
    }
    return { ...total, ...found }
  } finally {
    await server.stop('SIGKILL')
    await place.dispose()
  }
}

/** FS_IOC_SHUTDOWN without flushing the journal, on a file system made for it. Perl is on every Debian and has ioctl. */
function cutPower(file: string): void {
  const script =
    'open(my $f, "<", $ARGV[0]) or die; my $how = pack("I", 2); ioctl($f, 0x8004587d, $how) or die "ioctl: $!"'
  const { status, stderr } = spawnSync('perl', ['-e', script, file])
  if (status !== 0) throw new Error(`Cannot cut the power of ${file}: ${String(stderr)}`)
}
