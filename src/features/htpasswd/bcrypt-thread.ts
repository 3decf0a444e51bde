import { parentPort } from 'node:worker_threads'
import { compareSync, hashSync } from 'bcryptjs'
import type { Answer, Question } from './bcrypt.ts'

const cost = 10

// One question at a time: whether a password fits a hash, or the hash of a password.
parentPort?.on('message', ({ id, password, hash }: Question) => {
  let answer: Answer
  try {
    answer = { id, value: hash === undefined ? hashSync(password, cost) : compareSync(password, hash) }
  } catch (error) {
    answer = { id, error: String(error) }
  }
  parentPort?.postMessage(answer)
})
