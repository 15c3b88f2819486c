import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const text = readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')
const { packages } = JSON.parse(text)

it('names no place to download from', () => {
	expect(text).not.toContain('"resolved": "http')
})

// npms before 11.6 do not know package.json's allowScripts, and would have it download a CUDA that nobody asked for. Where `npm install` has written
// "hasInstallScript" for it again, it is to be taken out.
it('tells of no install script of onnxruntime-node', () => {
	expect(packages['node_modules/onnxruntime-node']).not.toHaveProperty('hasInstallScript')
})

// They run on the Node.js that npm installs. npm looks at its own, and leaves out what is optional, as each platform's binaries are, where that is not
// to a package's liking: below 20.9 sharp's, below 22.12 vitest's. Where `npm install` has written "engines" for new ones, they are to be taken out.
it('tells of no engines that packages ask for', () => {
	const asking = Object.keys(packages).filter((path) => path !== '' && packages[path].engines)
	expect(asking).toEqual([])
})
