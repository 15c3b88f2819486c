import { z } from 'zod'

/** `block_out_channels`: a width for each level of a network, each but the last of which halves sides. More halvings than these no picture has pixels for. */
export const Widths = z.array(z.int()).min(1).max(12)
