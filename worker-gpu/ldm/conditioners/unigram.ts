/**
 * The likeliest way to cut a word into pieces of a vocabulary (Kudo, 2018, §3.2; Viterbi's algorithm). What no piece begins with is unknown, letter by letter at a price, and told once for
 * letters in a row.
 *
 * @param vocabulary pieces with the logarithms of their probabilities, by id
 * @param unknown id of what stands for all that is in no piece
 */
export function unigram(vocabulary: readonly (readonly [string, number])[], unknown: number): (word: string) => string[] {
	// Of two pieces that are the same the last one counts, as in the reference.
	const scores = new Map(vocabulary)
	const unknownPiece = vocabulary[unknown]![0]
	const unknownScore = vocabulary.reduce((least, [, score]) => Math.min(least, score), Infinity) - 10
	const longest = vocabulary.reduce((most, [piece]) => Math.max(most, piece.length), 1)

	return (word) => {
		/** For each place in the word, in UTF-16 units: the likeliest way there. */
		const ways: ({ readonly from: number; readonly piece: string; readonly score: number } | undefined)[] = []
		const offer = (from: number, to: number, piece: string, score: number) => {
			if (!ways[to] || score > ways[to].score) {
				ways[to] = { from, piece, score }
			}
		}
		for (let from = 0; from < word.length; ) {
			const before = ways[from]?.score ?? 0
			const letter = from + String.fromCodePoint(word.codePointAt(from)!).length
			for (let to = letter; to <= Math.min(from + longest, word.length); to++) {
				const piece = word.slice(from, to)
				const score = scores.get(piece)
				if (score !== undefined) {
					offer(from, to, piece, before + score)
				}
			}
			if (!scores.has(word.slice(from, letter))) {
				offer(from, letter, unknownPiece, before + unknownScore)
			}
			from = letter
		}
		const pieces: string[] = []
		for (let to = word.length; to > 0; to = ways[to]!.from) {
			const { piece } = ways[to]!
			if (piece !== unknownPiece || pieces.at(-1) !== unknownPiece) {
				pieces.push(piece)
			}
		}
		return pieces.reverse()
	}
}
