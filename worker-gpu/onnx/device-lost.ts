/**
 * Whether CUDA is of no more use to this process. After some errors "the process must be terminated and relaunched" (CUDA Runtime API, cudaError_t): 214 and 220,
 * memory or a link that cannot be corrected; 700, 702, 710 and 714 to 719, a kernel that went wrong; and 999 says not even that.
 */
export const isDeviceLost = (error: unknown): boolean =>
	error instanceof Error && /CUDA failure (214|220|70[02]|71[04-9]|999)\b/.test(error.message)
