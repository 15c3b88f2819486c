import type { Warning } from '../../shared/contract/generation.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Conditioner, Text } from './conditioners/conditioner.ts'
import type { Drawing } from './drawing.ts'
import type { Pause } from './pause.ts'

/** The same tasks; their plans say which end of its texts a drawing does without, for text encoders read a fixed number of tokens. */
export function tellingCutOffs(conditioner: Conditioner<Text>, tasks: Checkpoint): Checkpoint {
	const telling = Object.entries(tasks).map(([task, planFor]) => {
		const plan = async (drawing: Drawing, pause?: Pause) => ({
			...(await planFor(drawing, pause)),
			warnings: warningsOf(conditioner, drawing)
		})
		return [task, plan]
	})
	return Object.fromEntries(telling)
}

function warningsOf(conditioner: Conditioner<Text>, drawing: Drawing): Warning[] {
	const { prompt, negative_prompt, guidance, width, height } = drawing
	const texts = [
		['prompt', prompt],
		['negative prompt', guidance > 1 ? negative_prompt : null]
	] as const
	return texts.flatMap(([name, text]) => {
		const end = endOf(conditioner.cutOff?.({ text, width, height }) ?? '')
		return end
			? [{ code: 'prompt-truncated', detail: `The ${name} is longer than what the model reads, which leaves out: ${end}` }]
			: []
	})
}

const longest = 200

/** A text's end, which begins with a whole word, or at least with a whole letter. Tokens may begin within either: as U+FFFD, and BERT's with ##. */
function endOf(text: string): string {
	const known = text.replace(/^(\ufffd|##)+(?!$)/, '…')
	return known.length > longest ? `…${known.slice(-longest).replace(/^\S{0,30}\s+|^[\udc00-\udfff]/, '')}` : known
}
