/*
 * Node.js holds what ICU knows of every language: 33 MB, of which English and what belongs to none are a tenth. The others' files are overwritten with zeros,
 * which pack to nothing; all else stays where it is. Where another language is asked for, English answers.
 */

/** At the beginning of ICU's data file: u16 size of this header, 0xda27, …, and at 12 the kind of file. */
const KIND = 'CmnD'

/** Names of no language: root, pool, supplementalData, … and English. */
const needed = /^(?:[a-z]+(?:[A-Z]\w*|64)|root|pool|metadata|plurals|units|res_index|en|en_US|en_US_POSIX)\.res$/

/**
 * Overwrites, in place, what a program's ICU holds for other languages than English: names, formats, dictionaries and character sets. Gives how many
 * bytes. Throws where there is no ICU.
 */
export function dropLanguages(program: Buffer): number {
	const header = program.indexOf(KIND) - 12
	if (header < 0 || program.readUInt16LE(header + 2) !== 0x27da) {
		throw new Error('expected a program with the data of ICU, found none')
	}
	// u32 count, then of each file the offsets of its name and of its data, from here.
	const table = header + program.readUInt16LE(header)
	const files = Array.from({ length: program.readUInt32LE(table) }, (_, i) => {
		const [name, data] = [4, 8].map((at) => table + program.readUInt32LE(table + at + 8 * i)) as [number, number]
		return { name: program.toString('latin1', name, program.indexOf(0, name)).split('/').at(-1)!, data }
	})
	let dropped = 0
	for (const [i, { name, data }] of files.slice(0, -1).entries()) {
		if (name.endsWith('.res') ? !needed.test(name) : /\.(?:cnv|dict)$/.test(name)) {
			const end = files[i + 1]!.data
			program.fill(0, data, end)
			dropped += end - data
		}
	}
	return dropped
}
