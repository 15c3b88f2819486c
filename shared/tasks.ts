import { z } from 'zod'

/** What a model can be asked for: the applications of the paper's §4. */
export const Task = z.enum([
	'text-to-image',
	'image-to-image',
	'inpainting',
	'super-resolution',
	'class-conditional',
	'layout-to-image',
	'semantic-synthesis',
	'unconditional'
])
export type Task = z.infer<typeof Task>
