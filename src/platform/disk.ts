import { statfsSync } from 'node:fs'

/** What shall stay free: so many bytes, or that share of the disk, whichever is less. */
export interface Reserve {
  bytes: number
  percent: number
}

/** Bytes. */
export interface Room {
  free: number
  size: number
  /** What shall stay free. */
  reserve: number
}

/** A look costs some microseconds; between two of them nobody fills a reserve. */
const everyMs = 1000

/** The disk that a folder lies on. Whoever asks looks at most once a second, and each time while there is too little room. */
export function createDisk(folder: string, reserve: Reserve) {
  let known: Room | undefined
  let knownAt = 0

  function room(): Room {
    const now = performance.now()
    if (known && known.free > known.reserve && now - knownAt < everyMs) return known
    known = look()
    knownAt = now
    return known
  }

  function look(): Room {
    try {
      const { bavail, blocks, bsize } = statfsSync(folder)
      const size = blocks * bsize
      return { free: bavail * bsize, size, reserve: Math.min(reserve.bytes, (size * reserve.percent) / 100) }
    } catch {
      return { free: Number.MAX_SAFE_INTEGER, size: 0, reserve: 0 } // the storage itself says what is wrong there
    }
  }

  return {
    room,
    /** So many bytes are on their way there. */
    take(bytes: number): void {
      if (known) known.free -= bytes
    },
    /** Bytes that are missing to the reserve; 0: there is enough. */
    lacking(): number {
      const { free, reserve: wanted } = room()
      return Math.max(0, Math.ceil(wanted - free))
    },
  }
}
