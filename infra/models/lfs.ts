import { readFileSync, statSync } from 'node:fs'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'

/**
 * Refuses what lies in a file's place where Git LFS was not there to fetch it, or was not asked to. Pointers begin so and are shorter than 1,024 bytes:
 * github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
 */
export function refusePointer(file: string): void {
	if (statSync(file).size < 1024 && readFileSync(file, 'latin1').startsWith('version https://git-lfs.github.com/spec/')) {
		throw new ModelError(file, 'expected the file itself, got a pointer of Git LFS to it: `git lfs pull` fetches it')
	}
}
