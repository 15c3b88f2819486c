/** A progress bar on a terminal, and nothing elsewhere. Returns the function that advances it. */
export function progressBar(label: string, total: number): () => void {
	let done = 0
	return () => {
		done++
		if (!process.stderr.isTTY) {
			return
		}
		const filled = Math.round((done / total) * 30)
		process.stderr.write(
			`\r${label} [${'#'.repeat(filled)}${' '.repeat(30 - filled)}] ${done}/${total}${done === total ? '\n' : ''}`
		)
	}
}
