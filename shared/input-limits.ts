/** What an input may be: bytes as it is sent, and pixels as it claims to have, in all and along a side. Both sides check, and pages, which take no zod along. */
export const inputLimits = { bytes: 10 * 1024 * 1024, pixels: 32 * 1024 * 1024, side: 65_535 } as const
