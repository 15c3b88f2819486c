import type { GenerationEvent } from '../../shared/contract/events.ts'
import { heartbeat } from '../../shared/until-silent.ts'
import type { Env } from '../env.ts'
import { present } from '../routes/present.ts'
import { soon } from '../soon.ts'
import { opening, stillThere } from '../sse.ts'
import type { Happening, Timeline } from './timeline.ts'

/** What a reader with this Last-Event-ID has seen of a timeline that is called `name`: nothing, where it followed another, or names what nobody was told. */
export function seenOf(name: string, timeline: Timeline, lastId: string | undefined): number {
	const [of, number] = lastId?.split('.') ?? []
	const seen = Number(number)
	return of === name && seen <= timeline.latest ? seen : 0
}

/**
 * Server-sent events of a timeline, each with the id `<name>.<number>`. A reader that comes back with an id of the same `name` goes on after it;
 * any other starts with the present state, in which nothing that matters is missing. It is pulled: a reader is never sent more than it takes.
 *
 * @param from what the reader has seen
 * @param goesOn whether the reader may be told more
 * @param onClose when the reader has left, or `isTold`: has been sent the end
 */
export function eventStream(
	env: Env,
	timeline: Timeline,
	name: string,
	from: number,
	goesOn: () => boolean,
	onClose: (isTold: boolean) => void
): ReadableStream<Uint8Array> {
	let seen = from
	let isOpen = false
	return new ReadableStream({
		type: 'bytes',
		async pull(controller) {
			const send = (text: string) => controller.enqueue(new TextEncoder().encode(text))
			if (!isOpen) {
				isOpen = true
				send(`retry: 1000\n${opening}`)
				return
			}
			const entry = timeline.after(seen) ?? ((await soon(timeline.grown, heartbeat)) && timeline.after(seen))
			if (!goesOn()) {
				controller.close()
				onClose(false)
				return
			}
			if (!entry) {
				send(stillThere)
				return
			}
			seen = entry.seq
			const event = await eventOf(env, entry.happening)
			send(`id: ${name}.${seen}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
			if (event.type === 'end') {
				controller.close()
				onClose(true)
			}
		},
		cancel: () => onClose(false)
	})
}

async function eventOf(env: Env, happening: Happening): Promise<GenerationEvent> {
	switch (happening.type) {
		case 'image': {
			const image = happening.of.images.find(({ n }) => n === happening.n)
			return { type: 'image', image: (await present(env, { ...happening.of, images: [image!] })).images[0]! }
		}
		case 'end':
			return { type: 'end', generation: await present(env, happening.of) }
		default:
			return happening
	}
}
