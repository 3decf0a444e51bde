import type { Gate } from '../http/types.ts'
import type { Feature } from './feature.ts'

/** The gates of all features as one. */
export function gateOf(features: Feature[]): Gate {
  return inTurn(features.flatMap((feature) => feature.gates ?? []))
}

/** Asks each in turn, and waits only where one of them has to: every request passes here, and each wait costs. */
function inTurn(gates: Gate[]): Gate {
  return (request) => {
    for (const [at, gate] of gates.entries()) {
      const held = gate(request)
      if (held) return held.then(() => inTurn(gates.slice(at + 1))(request))
    }
  }
}
