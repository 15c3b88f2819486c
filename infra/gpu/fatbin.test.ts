import { zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { dropKernels } from './fatbin.ts'

const attention = '.text.flash_fwd_kernel'
const experts = '.text.cutlass_MoeFCGemm'

test('keeps the kernels of one architecture, at their places, and not those of language models', () => {
	const given = library([
		[80, attention],
		[90, attention],
		[90, `${experts} ${attention}`],
		[90, experts]
	])
	const cut = Buffer.from(given)
	const { kept, dropped } = dropKernels(cut, 90)
	const codes = [attention, `${experts} ${attention}`].map((text) => packed(text).length)
	expect(kept).toBe(codes[0]! + codes[1]!)
	expect(dropped).toBe(packed(attention).length + packed(experts).length)

	// Nothing moves: what changed is zero now, and is code of what was dropped.
	const changed = [...cut.keys()].filter((at) => cut[at] !== given[at])
	expect(changed.every((at) => cut[at] === 0)).toBe(true)
	const first = given.indexOf(packed(attention))
	expect(cut.subarray(first, first + packed(attention).length).every((byte) => byte === 0)).toBe(true)
	expect(cut.indexOf(packed(attention))).toBeGreaterThan(first)
	expect(cut.indexOf(packed(experts))).toBe(-1)
})

test('says what there is where an architecture is not', () => {
	expect(() => dropKernels(library([[80, attention]]), 90)).toThrow('expected kernels for the architecture 90, found some for 80')
	expect(() => dropKernels(library([]).fill('.other_name', 0x200, 0x20b), 90)).toThrow(
		'expected a library with a section .nv_fatbin'
	)
})

const packed = (code: string): Buffer => zstdCompressSync(Buffer.from(code))

/** An ELF file of two sections: the names of sections at 0x200, and a container of kernels at 0x240. */
function library(kernels: readonly (readonly [architecture: number, code: string])[]): Buffer {
	const entries = kernels.map(([architecture, code]) => {
		const header = Buffer.alloc(64)
		header.writeUInt16LE(2, 0)
		header.writeUInt32LE(header.length, 4)
		header.writeBigUInt64LE(BigInt(packed(code).length), 8)
		header.writeUInt32LE(packed(code).length, 16)
		header.writeUInt32LE(architecture, 28)
		return Buffer.concat([header, packed(code)])
	})
	const body = Buffer.concat(entries)
	const container = Buffer.alloc(16)
	container.writeUInt32LE(0xba55ed50, 0)
	container.writeUInt16LE(container.length, 6)
	container.writeBigUInt64LE(BigInt(body.length), 8)

	const elf = Buffer.alloc(0x240)
	elf.writeBigUInt64LE(0x100n, 0x28) // section headers
	elf.writeUInt16LE(2, 0x3c) // how many
	elf.writeUInt16LE(0, 0x3e) // which of them has the names
	elf.write('\0.names\0.nv_fatbin\0', 0x1ff, 'latin1')
	const sections = [
		[1, 0x200, 0x40],
		[7, 0x240, container.length + body.length]
	] as const
	for (const [i, [name, from, size]] of sections.entries()) {
		elf.writeUInt32LE(name, 0x100 + 64 * i)
		elf.writeBigUInt64LE(BigInt(from), 0x100 + 64 * i + 24)
		elf.writeBigUInt64LE(BigInt(size), 0x100 + 64 * i + 32)
	}
	return Buffer.concat([elf, container, body])
}
