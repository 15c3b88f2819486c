import { compareWith } from '../../golden/comparison.ts'

compareWith('stable-diffusion-3.json')
