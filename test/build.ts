/** Before the first suite: those that run beside each other would all begin with it. */
export { buildEdge as setup } from '../infra/build.ts'
