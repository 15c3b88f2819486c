import { compareWith } from '../../golden/comparison.ts'

compareWith('flux.json')
