/** Gives the number of the colour (`#rrggbb`) that is nearest to an RGB value; of equally near ones the first. */
export function nearestColour(colours: readonly string[]): (r: number, g: number, b: number) => number {
	const known = colours.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)))
	// A map has few colours and many pixels.
	const found = new Map<number, number>()
	return (r, g, b) => {
		const key = (r << 16) | (g << 8) | b
		let nearest = found.get(key)
		if (nearest === undefined) {
			const distances = known.map(([x, y, z]) => (r - x!) ** 2 + (g - y!) ** 2 + (b - z!) ** 2)
			nearest = distances.indexOf(Math.min(...distances))
			found.set(key, nearest)
		}
		return nearest
	}
}
