"""Checkpoints, beside those of scenes/ in its work folder."""

from scenes.paths import WORK

LAYOUT, INPAINTING, SEMANTIC, UNCONDITIONAL, READER = (WORK / f"{name}.pt" for name in ("layout", "inpainting", "semantic", "unconditional", "reader"))
