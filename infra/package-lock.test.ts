import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const text = readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')

it('names no place to download from', () => {
	expect(text).not.toContain('"resolved": "http')
})

// npms before 11.6 do not know package.json's allowScripts, and would have it download a CUDA that nobody asked for. Where `npm install` has written
// "hasInstallScript" for it again, it is to be taken out.
it('tells of no install script of onnxruntime-node', () => {
	expect(JSON.parse(text).packages['node_modules/onnxruntime-node']).not.toHaveProperty('hasInstallScript')
})
