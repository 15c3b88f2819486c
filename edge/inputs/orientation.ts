/** The tag Orientation of a TIFF header at `start`, 1 to 8 (Exif 3.0, §4.6.5): from 5 on the picture lies on its side. 1 where there is none. */
export function orientationOf(view: DataView, start: number): number {
	try {
		return read(view, start)
	} catch {
		return 1 // It points beyond the end. Decoders forgive that.
	}
}

function read(view: DataView, start: number): number {
	const order = view.getUint16(start)
	if (order !== 0x4949 && order !== 0x4d4d) {
		return 1
	}
	const isLittle = order === 0x4949
	const directory = start + view.getUint32(start + 4, isLittle)
	const entries = view.getUint16(directory, isLittle)
	for (let i = 0; i < entries; i++) {
		const entry = directory + 2 + 12 * i
		if (view.getUint16(entry, isLittle) === 0x0112) {
			const value = view.getUint16(entry + 8, isLittle)
			return value >= 1 && value <= 8 ? value : 1
		}
	}
	return 1
}
