import { readdirSync, readFileSync } from 'node:fs'
import { appendFile, cp, mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { attribute, constantNode } from '../../worker-gpu/onnx/new-node.ts'
import { bytesField, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import type { AddOptions } from './add.ts'
import { exports, workspace } from './testing.ts'
import { graphOf, moveWeights, type Nodes, network, type Ports } from './testing-graphs.ts'

const place = workspace()
const { add, lay, at, nothingWritten } = place

const setting = async (file: string, change: object) =>
	writeFile(at(file), JSON.stringify({ ...JSON.parse(await readFile(at(file), 'utf8')), ...change }))

describe('refuses, and writes nothing:', () => {
	const cases: Record<string, { spoil(): Promise<unknown>; message: RegExp; options?: Partial<AddOptions> }> = {
		'no folder': { spoil: () => rm(place.source, { recursive: true }), message: /Tiny SD: expected a folder, found none/ },
		'a file': {
			spoil: async () => {
				await rm(place.source, { recursive: true })
				await writeFile(place.source, 'weights')
			},
			message: /Tiny SD: expected a folder, got a file/
		},
		...Object.fromEntries(
			['constructor', '__proto__'].map((name) => [
				`the class ${name}`,
				{
					spoil: () => writeFile(at('model_index.json'), JSON.stringify({ _class_name: name })),
					message: new RegExp(`_class_name: expected a pipeline .*, got ${name}\\. It knows `)
				}
			])
		),
		'no index': {
			spoil: () => rm(at('model_index.json')),
			message: /Tiny SD: expected a model_index.json, which names the pipeline, found none. .* copied from the model/
		},
		'a part of it alone': {
			spoil: async () => {
				place.source = at('unet')
			},
			message: /unet: expected a folder with a model_index.json, found one around it: give .*Tiny SD$/
		},
		'a folder around it': {
			spoil: async () => {
				await rename(place.source, path.join(place.work, 'inner'))
				await mkdir(place.source)
				await rename(path.join(place.work, 'inner'), at('inner'))
			},
			message: /Tiny SD: expected a folder with a model_index.json, found one deeper: give .*Tiny SD\/inner$/
		},
		'an unknown class': {
			spoil: () => writeFile(at('model_index.json'), '{"_class_name":"FluxKontextPipeline"}'),
			message:
				/model_index.json: _class_name: expected a pipeline .*, got FluxKontextPipeline. It knows StableDiffusionPipeline, /
		},
		'a pipeline with a part that nothing here runs': {
			spoil: () =>
				writeFile(
					at('model_index.json'),
					JSON.stringify({
						_class_name: 'StableDiffusionXLControlNetUnionPipeline',
						controlnet: ['diffusers', 'ControlNetUnionModel'],
						feature_extractor: ['transformers', 'CLIPImageProcessor'],
						image_encoder: [null, null],
						safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'],
						scheduler: ['diffusers', 'DDIMScheduler'],
						text_encoder: ['transformers', 'CLIPTextModel'],
						tokenizer: ['transformers', 'CLIPTokenizer'],
						unet: ['diffusers', 'UNet2DConditionModel'],
						vae: ['diffusers', 'AutoencoderKL']
					})
				),
			message:
				/got StableDiffusionXLControlNetUnionPipeline, with controlnet \(ControlNetUnionModel\), which nothing here runs. It/
		},
		'a ControlNet that is in no graph with its U-Net': {
			spoil: () => setting('model_index.json', { _class_name: 'StableDiffusionControlNetPipeline' }),
			message:
				/unet\/model.onnx: expected the U-Net and its ControlNet in one graph.*got the inputs sample, timestep, encoder_hidden_states/
		},
		'weights of PyTorch': {
			spoil: () =>
				Promise.all(
					['unet', 'text_encoder', 'vae_decoder'].map((part) => rename(at(`${part}/model.onnx`), at(`${part}/model.safetensors`)))
				),
			message: /Tiny SD: expected ONNX graphs \(unet\/model.onnx\), found none\. .*optimum-cli/
		},
		'a graph of another name': {
			spoil: () => rename(at('unet/model.onnx'), at('unet/model_fp16.onnx')),
			message: /Tiny SD: expected a graph called model.onnx in each part's folder .*, found unet\/model_fp16.onnx$/
		},
		'a decoder of another name': {
			spoil: () => rename(at('vae_decoder/model.onnx'), at('vae_decoder/model_fp16.onnx')),
			message: /Tiny SD: expected a graph called model.onnx .*, found vae_decoder\/model_fp16.onnx$/
		},
		"graphs in ONNX Runtime's own format": {
			spoil: () => rename(at('unet/model.onnx'), at('unet/model.ort')),
			message: /Tiny SD: expected a graph called model.onnx .*, found unet\/model.ort$/
		},
		'a text encoder for another U-Net': {
			spoil: async () => {
				for (const part of ['text_encoder', 'tokenizer']) {
					await rm(at(part), { recursive: true })
					await cp(path.join(exports, '../tiny', part), at(part), { recursive: true })
				}
			},
			message: /^unet: expected the input encoder_hidden_states as \[batch_size, sequence_length, 8\], got \[\d+, 12, 16\]$/
		},
		'a text encoder of fewer words': {
			spoil: () => {
				const vocabulary = JSON.parse(readFileSync(at('tokenizer/vocab.json'), 'utf8'))
				const strange = Object.fromEntries(Object.entries(vocabulary).map(([word, id]) => [word, Number(id) + 9_999]))
				return writeFile(at('tokenizer/vocab.json'), JSON.stringify(strange))
			},
			message: /^text_encoder: .*indices element out of data bounds/
		},
		'words that were added to the tokenizer, and not to its text encoder': {
			spoil: () => writeFile(at('tokenizer/added_tokens.json'), '{"<cat>":1214}'),
			message: /tokenizer: expected ids below 1214, vocab_size of the text encoder, .*, got 1214 for "<cat>"$/
		},
		'a tokenizer of more tokens than its text encoder has places for': {
			spoil: () => setting('tokenizer/tokenizer_config.json', { model_max_length: 512 }),
			message:
				/tokenizer\/tokenizer_config.json: model_max_length: expected at most 77, max_position_embeddings of text_encoder, got 512$/
		},
		'a tokenizer whose length nobody has set': {
			spoil: () => setting('tokenizer/tokenizer_config.json', { model_max_length: 1e30 }),
			message:
				/tokenizer\/tokenizer_config.json: expected model_max_length as an integer from 3 to 100000, got 1e\+30, which transformers writes where nobody has set it$/
		},
		'a text encoder that is told what is padding': {
			spoil: () => setting('text_encoder/config.json', { use_attention_mask: true }),
			message: /text_encoder\/config.json: .*expected false: the graph has no input for what is masked.*use_attention_mask/
		},
		'a tokenizer of another kind': {
			spoil: () =>
				writeFile(
					at('tokenizer/tokenizer.json'),
					'{"normalizer":null,"pre_tokenizer":{"type":"Metaspace"},"model":{"type":"BPE"}}'
				),
			message: /tokenizer.json: .*expected a step of CLIP's, BERT's or T5's, got {"type":"Metaspace"} .*pre_tokenizer/
		},
		'graphs a folder deeper': {
			spoil: async () => {
				await mkdir(at('unet/onnx'))
				await rename(at('unet/model.onnx'), at('unet/onnx/model.onnx'))
			},
			message: /Tiny SD: expected a graph called model.onnx .*, found unet\/onnx\/model.onnx$/
		},
		"no config of a first stage that is not Stable Diffusion's": {
			spoil: async () => {
				await writeFile(at('model_index.json'), '{"_class_name":"ORTStableDiffusionXLPipeline"}')
				await rm(at('vae_decoder/config.json'))
			},
			message:
				/Tiny SD\/vae_decoder\/config.json: expected a JSON file, found no file: .* alone, not of ORTStableDiffusionXLPipeline$/
		},
		"another U-Net's config": {
			spoil: () => writeFile(at('unet/config.json'), '{"in_channels":9}'),
			message: /Tiny SD\/unet\/config.json: in_channels: expected 4, as the graph has it, got 9/
		},
		"another decoder's config": {
			spoil: () => writeFile(at('vae_decoder/config.json'), '{"block_out_channels":[4,8,8]}'),
			message:
				/Tiny SD\/vae_decoder: expected sides 4 times as long, as block_out_channels of its config.json says, got 2 × 2 to 4 × 4/
		},
		'a decoder that denoises': {
			spoil: () => writeFile(at('vae_decoder/config.json'), '{"_class_name":"ConsistencyDecoderVAE"}'),
			message:
				/vae_decoder\/config.json: .*expected one of AutoencoderKL, AsymmetricAutoencoderKL, .*, AutoencoderTiny, got ConsistencyDecoderVAE/
		},
		'a decoder of two pictures at once': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [1, [2, 4, 'height', 'width']] }
				await writeFile(at('vae_decoder/model.onnx'), graphOf(latent, [['Identity', ['latent_sample'], 'sample']]))
			},
			message: /Tiny SD\/vae_decoder: expected the input latent_sample for one picture or any number, got 2$/
		},
		'a decoder in float64': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [11, ['batch', 4, 'height', 'width']] }
				await writeFile(at('vae_decoder/model.onnx'), graphOf(latent, [['Identity', ['latent_sample'], 'sample']]))
			},
			message: /^vae_decoder: the input latent_sample: expected float32, float16, int32 or int64, got float64$/
		},
		'a U-Net in bfloat16': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ sample: [16, ['batch', 4, 'height', 'width']], timestep: [1, ['batch']] }, [
						['Identity', ['sample'], 'out_sample']
					])
				),
			message: /unet\/model.onnx: expected an ONNX graph that loads, got: Unsupported data type: 16, which is bfloat16$/
		},
		'a decoder of four colours': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [1, ['batch', 'channels', 'height', 'width']] }
				await writeFile(at('vae_decoder/model.onnx'), graphOf(latent, [['Identity', ['latent_sample'], 'sample']]))
				await writeFile(at('vae_decoder/config.json'), '{"block_out_channels":[4],"latent_channels":4}')
			},
			message: /vae_decoder: expected pictures of three channels, got 4$/
		},
		'a decoder of any number of channels': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [1, ['batch', 'channels', 'height', 'width']] }
				await writeFile(at('vae_decoder/model.onnx'), graphOf(latent, [['Identity', ['latent_sample'], 'sample']]))
				await writeFile(at('vae_decoder/config.json'), '{}')
			},
			message: /vae_decoder: expected the input latent_sample .* of channels, or latent_channels in its config.json$/
		},
		'a decoder of sides three times as long': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [1, ['batch', 3, 'height', 'width']] }
				const thrice = (name: string, to: string, axis: number): Nodes[number] => [
					'Concat',
					[name, name, name],
					to,
					[attribute('axis', axis)]
				]
				const nodes = [thrice('latent_sample', 'tall', 2), thrice('tall', 'sample', 3)]
				await writeFile(at('vae_decoder/model.onnx'), graphOf(latent, nodes))
			},
			message: /vae_decoder: expected pictures 1, 2, 4, 8 … times as large as their latents, got 3 times$/
		},
		'a decoder for GPUs': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [1, ['batch', 4, 'height', 'width']] }
				const graph = graphOf(latent, [['com.microsoft.NhwcConv', ['latent_sample', 'latent_sample'], 'sample']])
				const domain = bytesField(8, Buffer.concat([bytesField(1, 'com.microsoft'), varintField(2, 1)]))
				await writeFile(at('vae_decoder/model.onnx'), Buffer.concat([graph, domain]))
			},
			message:
				/vae_decoder\/model.onnx: expected an ONNX graph that loads, got: .*NhwcConv.* \(a graph that was optimised for GPUs/
		},
		'no U-Net': {
			spoil: () => rm(at('unet'), { recursive: true }),
			message: /Tiny SD\/unet\/model.onnx: expected .*, found no file/
		},
		'no text encoder': {
			spoil: () => rm(at('text_encoder'), { recursive: true }),
			message: /Tiny SD\/text_encoder\/model.onnx: expected an ONNX graph, found no file/
		},
		'no tokenizer': { spoil: () => rm(at('tokenizer'), { recursive: true }), message: /Tiny SD\/tokenizer/ },
		'half a tokenizer': {
			spoil: () => rm(at('tokenizer/merges.txt')),
			message: /Tiny SD\/tokenizer\/merges.txt: expected a text file/
		},
		'a scheduler without a sampler': {
			spoil: () => writeFile(at('scheduler/scheduler_config.json'), '{"_class_name":"SASolverScheduler"}'),
			message: /scheduler_config.json: .*got SASolverScheduler/
		},
		...Object.fromEntries(
			(
				[
					['scheduler/scheduler_config.json', { num_train_timesteps: 1e9 }, 'num_train_timesteps'],
					['scheduler/scheduler_config.json', { steps_offset: -1 }, 'steps_offset'],
					['scheduler/scheduler_config.json', { beta_start: -1 }, 'beta_start'],
					['scheduler/scheduler_config.json', { beta_end: 2 }, 'beta_end'],
					['unet/config.json', { block_out_channels: Array(40).fill(4) }, 'block_out_channels'],
					['unet/config.json', { sample_size: 1e9 }, 'sample_size'],
					['vae_decoder/config.json', { block_out_channels: Array(40).fill(4) }, 'block_out_channels']
				] as const
			).map(([file, change, key]) => [
				`${file} with ${key} out of all bounds`,
				{ spoil: () => setting(file, change), message: new RegExp(`Tiny SD/${file}: .*→ at ${key}`) }
			])
		),
		'a truncated graph': {
			spoil: () => truncate(at('unet/model.onnx'), 30_000),
			message: /Tiny SD\/unet\/model.onnx: expected an ONNX graph, got a file that is broken or cut off \(30000 bytes/
		},
		'no graph at all': {
			spoil: () => writeFile(at('vae_decoder/model.onnx'), '<!doctype html><title>Not Found</title>'),
			message: /vae_decoder\/model.onnx: expected an ONNX graph/
		},
		'an empty graph': { spoil: () => truncate(at('vae_decoder/model.onnx'), 0), message: /got a file without one/ },
		'bytes after the graph': { spoil: () => appendFile(at('unet/model.onnx'), '\xff'.repeat(20)), message: /broken or cut off/ },
		'missing weights': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await rm(at('unet/model.onnx_data'))
			},
			message: /Tiny SD\/unet\/model.onnx: expected its weights in "model.onnx_data" beside it, found no file of that name/
		},
		'weights that were cut off': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await truncate(at('unet/model.onnx_data'), 1_000)
			},
			message: /expected "model.onnx_data" to hold at least \d+ bytes of weights, got 1000/
		},
		...Object.fromEntries(
			['unet/model.onnx', 'unet/model.onnx_data', 'tokenizer/vocab.json'].map((name) => [
				`what Git LFS has in the place of ${name}`,
				{
					spoil: async () => {
						await moveWeights(at('unet'))
						await writeFile(at(name), 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n')
					},
					message: new RegExp(`${name}: expected the file itself, got a pointer of Git LFS to it: .git lfs pull. fetches it`)
				}
			])
		),
		'weights that are a link': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await rm(at('unet/model.onnx_data'))
				await symlink('/dev/zero', at('unet/model.onnx_data'))
			},
			message: /expected its weights in "model.onnx_data" beside it, found no plain file/
		},
		'weights that are a link to some elsewhere': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await rename(at('unet/model.onnx_data'), path.join(place.work, 'weights'))
				await symlink(path.join(place.work, 'weights'), at('unet/model.onnx_data'))
			},
			message: /unet\/model.onnx_data: expected a plain file, got something else/
		},
		'weights on a way that leads back, which a link on it may lead elsewhere': {
			spoil: async () => {
				await mkdir(at('unet/data'))
				await moveWeights(at('unet'), 'data/../weights')
			},
			message: /unet\/model.onnx: expected weights in files beside the graph, got "data\/..\/weights", which leads elsewhere$/
		},
		'a part that is a link': {
			spoil: async () => {
				await rm(at('vae_decoder'), { recursive: true })
				await symlink(path.join(exports, 'vae_decoder'), at('vae_decoder'))
			},
			message: /Tiny SD\/vae_decoder: expected a plain folder, got a link/
		},
		'a config that is a link': {
			spoil: async () => {
				await rm(at('unet/config.json'))
				await symlink('/etc/passwd', at('unet/config.json'))
			},
			message: /Tiny SD\/unet\/config.json: expected a plain file/
		},
		'graphs in graphs without an end': {
			spoil: () => {
				let graph = bytesField(1, '')
				for (let depth = 0; depth < 5_000; depth++) {
					graph = bytesField(1, bytesField(5, bytesField(6, graph)))
				}
				return writeFile(at('unet/model.onnx'), bytesField(7, graph))
			},
			message: /expected graphs nested at most/
		},
		...Object.fromEntries(
			(
				[
					['unet', 'sample', ['batch', 4, 1e6, 1e6]],
					['unet', 'sample', [1e12, 4, 'height', 'width']],
					['unet', 'sample', ['batch', 4e9, 'height', 'width']],
					['unet', 'encoder_hidden_states', ['batch', 1e6, 1e6]],
					['vae_decoder', 'latent_sample', [1, 4, 1e6, 1e6]],
					['vae_encoder', 'sample', [1, 3, 1e6, 1e6]]
				] as const
			).map(([part, name, dims]) => [
				`${name} of ${part} as [${dims.join(', ')}], for which there is no memory`,
				{
					spoil: async () => {
						await mkdir(at(part), { recursive: true })
						const ports: Ports = { [name]: [1, [...dims]] }
						const nodes: Parameters<typeof network>[1] = [['Mul', [name, 'timestep'], 'out_sample']]
						const graph = part === 'unet' ? network(ports, nodes) : graphOf(ports, [['Identity', [name], 'answer']])
						await writeFile(at(`${part}/model.onnx`), graph)
					},
					message: new RegExp(
						`${part}/model.onnx: expected the input ${name} with at most 268435456 numbers, got \\[${dims.join(', ')}`
					)
				}
			])
		),
		'weights that are made of themselves': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({}, [
						['Cast', ['b'], 'a', [attribute('to', 1)]],
						['Identity', ['a'], 'b'],
						['Conv', ['sample', 'a'], 'out_sample']
					])
				),
			message: /unet\/model.onnx: expected an ONNX graph that loads, got: .*not acyclic/
		},
		'weights that are scaled by themselves again and again': {
			spoil: () => {
				const on = (i: number): [string, string[], string] => ['Mul', [`w${i}`, `w${i}`], `w${i + 1}`]
				const nodes = Array.from({ length: 60 }, (_, i) => on(i))
				const first: [string, string[], string, readonly Buffer[]] = [
					'Constant',
					[],
					'w0',
					constantNode([1, 4, 1, 1], '').attributes
				]
				return writeFile(at('unet/model.onnx'), network({}, [first, ...nodes, ['Conv', ['sample', 'w60'], 'out_sample']]))
			},
			message: /unet\/model.onnx: expected an ONNX graph that loads, got: .*Type/
		},
		'a timestep of rank 2': {
			spoil: () =>
				writeFile(at('unet/model.onnx'), network({ timestep: [1, ['batch', 1]] }, [['Identity', ['sample'], 'out_sample']])),
			message: /unet\/model.onnx: expected the input timestep with rank 0 or 1, got rank 2/
		},
		'a timestep that is passed on and on': {
			spoil: () => {
				const on = (i: number): [string, string[], string] => ['Identity', [i === 0 ? 'timestep' : `t${i}`], `t${i + 1}`]
				const nodes = Array.from({ length: 20_000 }, (_, i) => on(i))
				return writeFile(at('unet/model.onnx'), network({}, [...nodes, ['Mul', ['sample', 't20000'], 'out_sample']]))
			},
			message: /unet\/model.onnx: expected the timestep to be computed with after at most 100 nodes that pass it on, got more/
		},
		'an encoder that goes around in circles': {
			spoil: async () => {
				const image: Ports = { sample: [1, ['batch', 3, 'height', 'width']] }
				await mkdir(at('vae_encoder'))
				await writeFile(at('vae_encoder/model.onnx'), graphOf(image, [['Identity', ['latent_sample'], 'latent_sample']]))
			},
			message: /vae_encoder\/model.onnx: expected an ONNX graph that loads, got: .*not acyclic/
		},
		'a timestep that is an integer all the way': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ timestep: [7, ['steps']] }, [
						['CastLike', ['timestep', 'sample'], 't'],
						['Mul', ['sample', 't'], 'out_sample']
					])
				),
			message: /expected the timestep to be cast to float32 or float16 on its way, got int64 all the way/
		},
		'a size that is fixed and not square': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ sample: [1, ['batch', 4, 8, 16]] }, [['Mul', ['sample', 'timestep'], 'out_sample']])
				),
			message: /expected latents with a free height and width or square, got 8 × 16/
		},
		'a timestep that rows cannot have for themselves': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ sample: [1, [2, 4, 8, 8]] }, [
						['ReduceMean', ['timestep'], 't'],
						['Mul', ['sample', 't'], 'out_sample']
					])
				),
			message: /expected each row of a batch to follow its own timestep, but rows at 981 and 21 in one batch are/
		},
		'inputs for batches of different lengths': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ sample: [1, [2, 4, 8, 8]], encoder_hidden_states: [1, [3, 77, 8]] }, [
						['Mul', ['sample', 'timestep'], 'out_sample']
					])
				),
			message: /expected the input encoder_hidden_states as \[3, 77, 8\], got \[2, 77, 8\]/
		},
		'a timestep that does not matter': {
			spoil: () => writeFile(at('unet/model.onnx'), network({}, [['Identity', ['sample'], 'out_sample']])),
			message: /expected the timestep to matter/
		},
		'an id that is none': {
			spoil: async () => {},
			options: { id: '../outside' },
			message: /--id: expected small letters.*got "..\/outside"/
		},
		'a folder whose name has nothing for an id': {
			spoil: async () => {
				await rename(place.source, path.join(place.work, '風景'))
				place.source = path.join(place.work, '風景')
			},
			message: /--id: expected small letters.*got "", made of the name 風景$/
		},
		'to fill up the disk': {
			spoil: async () => {},
			// Which nobody can do here without harm to others.
			options: { stage: () => Promise.reject(new Error('ENOSPC: no space left on device, write')) },
			message: /models: expected a disk with room for \d+ bytes more, found it full$/
		},
		'an id of the catalog': {
			spoil: async () => {},
			options: { id: 'scenes' },
			message: /--id: expected one that is free, but scenes is taken/
		}
	}
	test.each(Object.entries(cases))('%s', async (_, { spoil, message, options }) => {
		await lay('scalar')
		await spoil()
		await expect(add(options)).rejects.toThrow(message)
		nothingWritten()
	})

	test.each(['../../etc/passwd', '/etc/passwd', 'a/../../b', '..', 'C:\\weights', '..\\weights', ''])(
		'weights in %j',
		async (location) => {
			await lay('scalar')
			const entry = Buffer.concat([bytesField(1, 'location'), bytesField(2, location)])
			const weight = Buffer.concat([varintField(2, 1), bytesField(8, 'w'), bytesField(13, entry), varintField(14, 1)])
			const inNode = bytesField(1, bytesField(5, bytesField(5, weight)))
			for (const graph of [bytesField(5, weight), inNode]) {
				await writeFile(at('unet/model.onnx'), bytesField(7, graph))
				await expect(add()).rejects.toThrow(/unet\/model.onnx: expected (its )?weights in/)
				nothingWritten()
			}
		}
	)

	test('one file of PyTorch, and says what makes graphs of it', async () => {
		await lay('scalar')
		const source = at('one.safetensors')
		await writeFile(source, '')
		await expect(add({ source })).rejects.toThrow(/one\.safetensors: expected a folder, got a file\. .*infra\/model-kit\/export/)
		nothingWritten()
	})

	test('weights in a folder that is a link', async () => {
		await lay('scalar')
		await mkdir(path.join(place.work, 'elsewhere'))
		await writeFile(path.join(place.work, 'elsewhere/weights'), '1234')
		await symlink(path.join(place.work, 'elsewhere'), at('vae_decoder/sub'))
		const entry = Buffer.concat([bytesField(1, 'location'), bytesField(2, 'sub/weights')])
		const weight = Buffer.concat([varintField(2, 1), bytesField(8, 'w'), bytesField(13, entry), varintField(14, 1)])
		await writeFile(at('vae_decoder/model.onnx'), bytesField(7, bytesField(5, weight)))
		await expect(add()).rejects.toThrow(/vae_decoder\/sub\/weights: expected a plain file, got something else/)
		nothingWritten()
	})

	test('an id whose folder is there', async () => {
		await lay('scalar')
		await mkdir(path.join(place.modelsDir, 'mine'))
		await expect(add({ id: 'mine' })).rejects.toThrow('--id: expected one that is free, but mine is taken')
		expect(readdirSync(place.modelsDir)).toEqual(['mine'])
	})

	test('to write a catalog that another import is writing', async () => {
		await lay('scalar')
		await writeFile(`${place.catalogFile}.next`, '')
		await expect(add()).rejects.toThrow('another import is writing the catalog')
		await rm(`${place.catalogFile}.next`)
		nothingWritten()
	})
})
