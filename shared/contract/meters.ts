import { z } from 'zod'

export const SinkName = z.enum(['stripe', 'cloudevents'])
export type SinkName = z.infer<typeof SinkName>

const Time = z.iso.datetime()

/** Pictures of one model and price that were charged in one minute, on their way to one sink. */
export const MeterEvent = z.strictObject({
	/** The identifier under which it is sent, however often. */
	id: z.string(),
	sink: SinkName,
	/** `parked`: whether it arrived is not known, or it was refused, and it is too late to send it again; a person has to look. */
	state: z.enum(['pending', 'sent', 'parked']),
	minute: Time,
	model: z.string(),
	/** Micro-units for each picture. */
	price: z.int(),
	/** What is counted: as many as there are pictures, below zero where they were refunded. */
	value: z.int(),
	pictures: z.array(z.strictObject({ generation: z.string(), n: z.int() })),
	tries: z.int(),
	error: z.string().nullable(),
	sent_at: Time.nullable()
})
export type MeterEvent = z.infer<typeof MeterEvent>
