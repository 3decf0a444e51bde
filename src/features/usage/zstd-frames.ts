type Step = { read: number } | { pass: number } | 'end'

const frame = 0xfd2fb528
const skippable = 0x184d2a50

/** What of a stream of zstd (RFC 8878, section 3.1) comes next. @throws Error where it is none */
function* stepsOf(): Generator<Step, void, Buffer> {
  for (;;) {
    const magic = (yield { read: 4 }).readUInt32LE()
    if ((magic & 0xfffffff0) >>> 0 === skippable) yield { pass: (yield { read: 4 }).readUInt32LE() }
    else if (magic === frame) yield* restOfFrame()
    else throw new Error('it is no frame of zstd')
    yield 'end'
  }
}

function* restOfFrame(): Generator<Step, void, Buffer> {
  const descriptor = (yield { read: 1 }).readUInt8()
  const isSingle = (descriptor & 0x20) !== 0
  const sizes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  yield { pass: (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + sizes }
  for (let isLast = false; !isLast;) {
    const block = (yield { read: 3 }).readUIntLE(0, 3)
    isLast = (block & 1) === 1
    yield { pass: ((block >> 1) & 3) === 1 ? 1 : block >> 3 } // one byte stands for all of a run
  }
  if (descriptor & 4) yield { pass: 4 } // a checksum
}

/** Cuts the chunks of a stream of zstd after each frame: Node's decompressor leaves what follows one in the same piece. */
export function createFrameCutter() {
  const steps = stepsOf()
  let step = steps.next().value as Step
  let head: Buffer[] = []
  let missing = 4

  function next(read: Buffer): void {
    step = steps.next(read).value as Step
    missing = step === 'end' ? 0 : 'read' in step ? step.read : step.pass
  }

  /** @throws Error where it is no zstd */
  return (chunk: Buffer): Buffer[] => {
    const pieces: Buffer[] = []
    let [begin, at] = [0, 0]
    for (;;) {
      if (step === 'end') {
        pieces.push(chunk.subarray(begin, at))
        begin = at
        next(Buffer.alloc(0))
      }
      const taken = Math.min(missing, chunk.length - at)
      if (step !== 'end' && 'read' in step) head.push(Buffer.from(chunk.subarray(at, at + taken)))
      at += taken
      missing -= taken
      if (missing > 0) break
      const read = Buffer.concat(head)
      head = []
      next(read)
    }
    if (begin < at) pieces.push(chunk.subarray(begin, at))
    return pieces
  }
}
