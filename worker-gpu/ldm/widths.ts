import { z } from 'zod'

/** `block_out_channels`: a width for each level of a network, each but the last of which halves sides. More halvings than these no picture has pixels for. */
export const Widths = z.array(z.int()).min(1).max(12)

/** Of a U-Net's settings, or of a DiT's, which halves nothing and sees squares of so many latents. */
export const Levels = {
	block_out_channels: Widths.default([320, 640, 1280, 1280]),
	patch_size: z.int().min(1).max(4_096).nullish()
}

/** What the sides of its latents must be multiples of. */
export const multipleOf = ({ block_out_channels, patch_size }: z.infer<z.ZodObject<typeof Levels>>): number =>
	patch_size ?? 2 ** (block_out_channels.length - 1)
