import { compareWith } from '../../golden/comparison.ts'

compareWith('paper.json')
