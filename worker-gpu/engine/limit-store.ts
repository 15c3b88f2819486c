import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import type { Denoiser } from '../ldm/denoiser.ts'
import { fileHash } from '../onnx/file-hash.ts'
import type { Provider } from '../onnx/provider.ts'
import type { LimitStore } from './limits.ts'

/** By machine, provider and network, then by the shape of the rows: evaluations a call. */
const Limits = z.record(z.string(), z.record(z.string(), z.object({ most: z.int().min(1), light: z.int().min(1) })))

/**
 * A JSON file in `folder`. What is no such file any more counts as empty, and what cannot be written is measured again at the next start: these
 * are only figures.
 */
export function openLimitStore(folder: string, provider: Pick<Provider, 'name' | 'threads'>): LimitStore {
	const file = path.join(folder, 'batch-limits.json')
	const place = [machine, ...(provider.name === 'cuda' ? gpus() : []), provider.name, `${provider.threads} threads`]
	const section = async ({ id }: Denoiser) => [...place, await fileHash(path.join(id, 'model.onnx'))].join(' | ')
	/** Without the network's folder, which is not what it is. */
	const shapeOf = ({ id }: Denoiser, key: string) => key.replace(`${id} | `, '')
	const readAll = async () => Limits.parse(JSON.parse(await readFile(file, 'utf8')))

	return {
		async read(denoiser, key) {
			try {
				return (await readAll())[await section(denoiser)]?.[shapeOf(denoiser, key)]
			} catch {
				return undefined
			}
		},
		async write(denoiser, key, room) {
			try {
				const all = await readAll().catch((): z.infer<typeof Limits> => ({}))
				const at = await section(denoiser)
				all[at] = { ...all[at], [shapeOf(denoiser, key)]: room }
				await mkdir(folder, { recursive: true })
				// Whole or not at all, whoever else writes.
				await writeFile(`${file}.${process.pid}`, JSON.stringify(all, undefined, '\t'))
				await rename(`${file}.${process.pid}`, file)
			} catch {
				// A file system that only lets itself be read, or a graph that is gone.
			}
		}
	}
}

/** The kinds of GPU that the driver shows, with their memory; none where it cannot be asked. */
function gpus(): string[] {
	const query = ['--query-gpu=name,memory.total', '--format=csv,noheader']
	try {
		const names = execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 })
		return [...new Set(names.trim().split('\n'))]
	} catch {
		return []
	}
}

const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? process.arch}, ${Math.round(totalmem() / 2 ** 30)} GB`
