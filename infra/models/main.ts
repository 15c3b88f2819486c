/** `npm run models -- …`: imports ONNX exports into the catalog, and looks after those that are there. */
import { join, resolve } from 'node:path'
import { readCommandLine } from '../../shared/command-line.ts'
import { shippedModels } from '../../worker-gpu/engine/client.ts'
import { apart } from './apart.ts'
import { bytes, describeAdded, describeExport, printable } from './table.ts'

const usage = `npm run models -- COMMAND

  add DIR [--id ID] [--dry-run]   imports a diffusers or Optimum ONNX export: checks it, lets its U-Net take a timestep for each row,
                                  measures it, draws with it, copies it into the models' folder and writes its entry in the catalog.
                                  ID is by default the folder's name, in Hugging Face's cache the repository's. --dry-run does all of
                                  that and keeps nothing.
  list                            the models of the catalog, and folders that belong to none, such as a killed import leaves
  check [ID]                      compares the files of a model, or of all, with those that were added, and draws with each task
  remove ID                       takes a model out of the catalog and deletes its folder

  MODELS_DIR=worker-gpu/models    holds a folder for each model
  DARKROOM_PROVIDER=auto          auto, cpu or cuda: what measures and draws`

const catalogFile = join(import.meta.dirname, '../../shared/catalog.json')

const { values, positionals } = readCommandLine(usage, {
	options: { id: { type: 'string' }, 'dry-run': { type: 'boolean' } },
	allowPositionals: true
})
const left = new AbortController()
try {
	const [command, ...rest] = positionals
	await run(command, rest, values)
	process.exit()
} catch (error) {
	if (left.signal.aborted) {
		process.exit(130)
	}
	console.error(`models: ${printable((error as Error).message)}`)
	process.exit(1)
}

/** Loads what a command needs only then: all of it reads the catalog when it is loaded, and an error in that is to be told in one line, too. */
async function run(
	command: string | undefined,
	rest: readonly string[],
	flags: { id?: string; 'dry-run'?: boolean }
): Promise<void> {
	const modelsDir = resolve(process.env.MODELS_DIR || shippedModels)
	const choice = process.env.DARKROOM_PROVIDER || 'auto'
	if (choice !== 'auto' && choice !== 'cpu' && choice !== 'cuda') {
		throw new Error(`DARKROOM_PROVIDER: expected auto, cpu or cuda, got ${choice}`)
	}
	const takes = (count: string, right: boolean) => {
		if (!right || (command !== 'add' && (flags.id !== undefined || flags['dry-run']))) {
			throw new Error(`${command}: expected ${count}; --help tells more`)
		}
	}
	switch (command) {
		case 'add': {
			takes('one folder', rest.length === 1)
			leaveInOrder()
			const { addModel } = await import('./add.ts')
			const dryRun = flags['dry-run']
			const added = await addModel({
				source: rest[0]!,
				id: flags.id,
				modelsDir,
				catalogFile,
				dryRun,
				// What it made is no less than what it was asked for.
				stage: async (id, found, staged) => (await apart({ work: 'stage', id, found, staged, provider: choice }, left.signal))!,
				onFound: (found) => console.log(`${describeExport(found)}\n`)
			})
			console.log(describeAdded(added))
			console.log(
				dryRun
					? '\nA dry run: nothing was kept.'
					: `\nAdded ${bytes(added.found.size)}. Its entry in shared/catalog.json is yours to edit: name, description, sizes, limits.` +
							'\nGPU nodes serve it from their next start, the edge from its next build (`npm start` makes one).'
			)
			break
		}
		case 'list': {
			takes('nothing more', rest.length === 0)
			const { listModels } = await import('./list.ts')
			console.log(await listModels(modelsDir, catalogFile))
			break
		}
		case 'check':
			takes('one id or none', rest.length <= 1)
			leaveInOrder()
			await apart({ work: 'check', modelsDir, catalogFile, id: rest[0], provider: choice }, left.signal)
			break
		case 'remove': {
			takes('one id', rest.length === 1)
			const { removeModel } = await import('./remove.ts')
			console.log(`Removed ${rest[0]}: ${bytes(await removeModel(modelsDir, catalogFile, rest[0]!))}.`)
			break
		}
		default:
			throw new Error(`expected add, list, check or remove, got ${command ?? 'nothing'}; --help says what each does`)
	}
}

/** Signals end what goes on, and clear what is half done; a second one ends it at once. */
function leaveInOrder(): void {
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.once(signal, () => left.abort())
	}
}
