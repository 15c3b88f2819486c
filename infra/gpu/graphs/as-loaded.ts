/** npx node infra/gpu/graphs/as-loaded.ts FILE [COUNT]: makes of a graph's file what the engine makes of it when it loads it on CUDA, by the first so many of its rewrites or by all. */
import { readFileSync, writeFileSync } from 'node:fs'
import { rewritten } from '../../../worker-gpu/onnx/rewritten.ts'
import { REWRITES } from '../../../worker-gpu/onnx/session.ts'

const [file = '', count = REWRITES.cuda.length] = process.argv.slice(2)
writeFileSync(file, rewritten(file, REWRITES.cuda.slice(0, Number(count))) ?? readFileSync(file))
