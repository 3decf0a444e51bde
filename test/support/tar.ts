/** A tar archive (ustar) of these files, the same bytes for the same files. */
export function tar(files: Record<string, string | Uint8Array>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => {
    const bytes = Buffer.from(content)
    return [header(name, bytes.length), bytes, Buffer.alloc(-bytes.length & 511)]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  block.write(name, 0)
  block.write(octal(0o755, 7), 100)
  block.write(octal(0, 7) + octal(0, 7), 108) // owner and group
  block.write(octal(size, 11) + octal(0, 11), 124) // size and time
  block.write('        0', 148) // the sum counts as spaces; then: a file
  block.write('ustar\u000000', 257)
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )} `,
    148,
  )
  return block
}
