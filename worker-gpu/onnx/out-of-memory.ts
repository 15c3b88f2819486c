/**
 * Whether ONNX Runtime failed for want of memory, which a smaller batch may not need. It has no error code for that: its arena says "Failed to
 * allocate memory for requested buffer", CUDA "out of memory", cuBLAS and cuDNN "ALLOC_FAILED" or "ALLOCATION_FAILED", the C++ runtime "bad_alloc".
 */
export const isOutOfMemory = (error: unknown): boolean =>
	error instanceof Error &&
	/failed to allocate memory|out of memory|bad_?alloc|BFCArena|CUDA_ERROR_OUT_OF_MEMORY|ALLOC(ATION)?_FAILED/i.test(error.message)
