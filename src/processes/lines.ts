/** What one write brings to a pipe without another process's bytes in between (PIPE_BUF). */
const whole = 4096

/** Writes lines of ASCII so that they stay whole where several processes write to one pipe; only a longer one may be cut into. */
export function writeLines(write: (lines: string) => void): (lines: string) => void {
  return (lines) => {
    for (let rest = lines; rest !== '';) {
      const within = rest.length <= whole ? rest.length : rest.lastIndexOf('\n', whole - 1) + 1
      const end = within || rest.indexOf('\n') + 1 || rest.length
      write(rest.slice(0, end))
      rest = rest.slice(end)
    }
  }
}
