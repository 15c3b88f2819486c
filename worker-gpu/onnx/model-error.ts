/** Something about a model's folder is not as it must be. No retry helps: someone has to mend the folder. */
export class ModelError extends Error {
	override name = 'ModelError'

	/** @param where the file or folder at fault */
	constructor(where: string, problem: string, options?: ErrorOptions) {
		super(`${where}: ${problem}`, options)
	}
}

/** A model that was asked for cannot be loaded here: who asked is not to blame. */
export class ModelNotLoaded extends Error {
	override name = 'ModelNotLoaded'
}
