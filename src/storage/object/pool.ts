/** Memory that is lent out; whoever finds too little of it waits in line. */
export interface Pool {
  /** Gives the bytes back by calling the result, once. */
  borrow(bytes: number): Promise<() => void>
  /** Whether somebody waits. */
  isShort(): boolean
}

export function createPool(bytes: number): Pool {
  let free = bytes
  const waiting: { bytes: number; take(): void }[] = []

  function serve(): void {
    while (waiting[0] && waiting[0].bytes <= free) {
      const { bytes, take } = waiting.shift()!
      free -= bytes
      take()
    }
  }

  return {
    borrow(wanted) {
      const least = Math.min(wanted, bytes)
      let lent = true
      const giveBack = () => {
        if (!lent) return
        lent = false
        free += least
        serve()
      }
      return new Promise((resolve) => {
        waiting.push({ bytes: least, take: () => resolve(giveBack) })
        serve()
      })
    },
    isShort: () => waiting.length > 0,
  }
}
