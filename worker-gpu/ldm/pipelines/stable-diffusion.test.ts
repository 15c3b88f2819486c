import { compareWith } from '../../golden/comparison.ts'

compareWith('stable-diffusion.json')
