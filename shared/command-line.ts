import { type ParseArgsConfig, parseArgs } from 'node:util'

const help = { help: { type: 'boolean', short: 'h' } } as const

/**
 * What the process was called with. Asked for `--help` it prints `usage` and ends; where it does not know an option or a word, it says which in one
 * line, and ends with 1.
 *
 * @param words those that it knows, where it knows but some
 */
export function readCommandLine<const T extends ParseArgsConfig>(
	usage: string,
	config: T,
	words?: readonly string[]
): ReturnType<typeof parseArgs<T>> {
	try {
		if (parseArgs({ ...config, strict: false, options: { ...config.options, ...help } }).values.help) {
			console.log(usage)
			process.exit()
		}
		const read = parseArgs(config)
		const unknown = words && read.positionals.find((word) => !words.includes(word))
		if (unknown !== undefined) {
			throw new Error(`expected one of ${words!.join(', ')}, got ${unknown}`)
		}
		return read
	} catch (error) {
		console.error(misread(error as Error))
		process.exit(1)
	}
}

/** In one line what `parseArgs` threw. It goes on to say how such a word could be given, which is of use where a value begins with a dash. */
export function misread({ message }: Error): string {
	const [, given] = /'(--[^']+=)-XYZ'/.exec(message) ?? []
	const told = given ? `expected ${given}… where a value begins with a dash` : message.split(/\. |\n/)[0]
	return `${told}; --help says what there is`
}
