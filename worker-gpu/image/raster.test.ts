import { expect, test } from 'vitest'
import { tensorsOf } from './raster.ts'

test('rasters become planes: images from −1 to 1, masks and what steers from 0 to 1, maps as they are', () => {
	const { image, mask, semantic_map, control_image } = tensorsOf({
		image: { pixels: Uint8Array.of(0, 255, 51, 255, 0, 204), width: 2, height: 1 },
		mask: { pixels: Uint8Array.of(0, 255), width: 1, height: 2 },
		semantic_map: { pixels: Uint16Array.of(3, 300), width: 2, height: 1 },
		control_image: { pixels: Uint8Array.of(0, 255, 51, 255, 0, 204), width: 2, height: 1 }
	})
	expect(image!.dims).toEqual([3, 1, 2])
	expect([...image!.data].map((value) => Math.round(value * 1e6) / 1e6)).toEqual([-1, 1, 1, -1, -0.6, 0.6])
	expect(mask).toEqual({ data: Float32Array.of(0, 1), dims: [1, 2, 1] })
	expect(semantic_map).toEqual({ data: Float32Array.of(3, 300), dims: [1, 1, 2] })
	expect(control_image).toEqual({ data: Float32Array.of(0, 1, 1, 0, 0.2, 0.8), dims: [3, 1, 2] })
	expect(tensorsOf({})).toEqual({})
})
