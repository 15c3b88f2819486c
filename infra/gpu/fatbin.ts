import { zstdDecompressSync } from 'node:zlib'

/*
 * ONNX Runtime's CUDA provider holds each of its kernels once for every generation of GPUs, and most of them are for language models: 272 MB. Where it
 * is carried to one GPU, only what runs there has to come along. What is not needed is overwritten with zeros, which pack to nothing; all else, the
 * tables with its sizes too, stays where it is, and the driver reads a kernel only when it is first launched.
 */

/** Containers of kernels, one for each source file: magic, u16 version, u16 size of this header, u64 size of the entries that follow. */
const CONTAINER = 0xba55ed50
/** u16 kind, u16 version, u32 size of this header, u64 size of the code; at 16 u32 size of the code as packed, at 28 u32 architecture, at 40 u64 flags. */
const ARCHITECTURE = 28
const PACKED_SIZE = 16
const ZSTD = 0xfd2fb528

/** Code that no diffusion model runs: mixtures of experts, quantised weights, caches of keys and values, bfloat16. Names as the C++ compiler writes them. */
const languageModels =
	/MoeFCGemm|[Mm]oe_|GroupProblemShape|GemmFpAIntB|fpA_intB|3llm7kernels|matmul_[48]bits|MatMulNBits|MatMulBlock|kernel_mha|BFloat16|bfloat16|bf16/

export interface Kept {
	/** Bytes of code kept, and overwritten. */
	kept: number
	dropped: number
}

/**
 * Overwrites, in place, the code for GPUs of other architectures than `architecture` (90: H100 and H200), and that of language models.
 *
 * @param library an ELF shared library with a section .nv_fatbin. Throws where it has none, or none for that architecture
 */
export function dropKernels(library: Buffer, architecture: number): Kept {
	const [from, to] = section(library, '.nv_fatbin')
	const found = { kept: 0, dropped: 0 }
	const architectures = new Set<number>()
	for (let at = from; at + 16 <= to; ) {
		if (library.readUInt32LE(at) !== CONTAINER) {
			at += 8 // Containers are aligned.
			continue
		}
		const end = at + library.readUInt16LE(at + 6) + Number(library.readBigUInt64LE(at + 8))
		for (let entry = at + library.readUInt16LE(at + 6); entry < end; ) {
			const code = entry + library.readUInt32LE(entry + 4)
			const next = code + Number(library.readBigUInt64LE(entry + 8))
			const own = library.readUInt32LE(entry + ARCHITECTURE)
			if (
				own === architecture &&
				!isForLanguageModels(library.subarray(code, code + library.readUInt32LE(entry + PACKED_SIZE)))
			) {
				found.kept += next - code
			} else {
				found.dropped += next - code
				library.fill(0, code, next)
			}
			architectures.add(own)
			entry = next
		}
		at = end
	}
	if (found.kept === 0) {
		throw new Error(
			`expected kernels for the architecture ${architecture}, found some for ${[...architectures].join(', ') || 'none'}`
		)
	}
	return found
}

/** Whether it is all that this code is for. */
function isForLanguageModels(packed: Buffer): boolean {
	const code = packed.readUInt32LE(0) === ZSTD ? zstdDecompressSync(packed) : packed
	const kernels = code.toString('latin1').match(/\.text\.\w+/g) ?? []
	return kernels.length > 0 && kernels.every((name) => languageModels.test(name) || name.includes('EmptyKernel'))
}

/** Where a section of a 64-bit ELF file begins and ends. */
function section(elf: Buffer, name: string): [number, number] {
	const headers = Number(elf.readBigUInt64LE(0x28))
	const header = (i: number) => headers + 64 * i
	const names = Number(elf.readBigUInt64LE(header(elf.readUInt16LE(0x3e)) + 24))
	for (let i = 0; i < elf.readUInt16LE(0x3c); i++) {
		const at = names + elf.readUInt32LE(header(i))
		if (elf.toString('latin1', at, elf.indexOf(0, at)) === name) {
			const from = Number(elf.readBigUInt64LE(header(i) + 24))
			return [from, from + Number(elf.readBigUInt64LE(header(i) + 32))]
		}
	}
	throw new Error(`expected a library with a section ${name}, found none`)
}
