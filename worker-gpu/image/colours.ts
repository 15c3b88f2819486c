/** A colour among those that are known: its number, and how far from it what was asked for is, in RGB. */
interface Nearest {
	readonly index: number
	readonly distance: number
}

/** Gives the colour (`#rrggbb`) that is nearest to an RGB value; of equally near ones the first. */
export function nearestColour(colours: readonly string[]): (r: number, g: number, b: number) => Nearest {
	const known = colours.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)))
	// A map has few colours and many pixels.
	const found = new Map<number, Nearest>()
	return (r, g, b) => {
		const key = (r << 16) | (g << 8) | b
		let nearest = found.get(key)
		if (nearest === undefined) {
			const distances = known.map(([x, y, z]) => Math.hypot(r - x!, g - y!, b - z!))
			const distance = Math.min(...distances)
			nearest = { index: distances.indexOf(distance), distance }
			found.set(key, nearest)
		}
		return nearest
	}
}
