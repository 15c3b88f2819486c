/** From 0, below 1: what a seed decides next. */
export type Chance = () => number

export const happens = (chance: Chance, share: number): boolean => chance() < share
export const between = (chance: Chance, least: number, most: number): number => least + chance() * (most - least)
export const oneOf = <T>(chance: Chance, list: readonly T[]): T => list[Math.floor(chance() * list.length)]!
