/** Its message is all that the caller is to read. */
export class CliError extends Error {
	override name = 'CliError' as const
}
