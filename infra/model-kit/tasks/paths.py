"""Checkpoints, beside those of scenes/ in its work folder."""

from scenes.paths import WORK

LAYOUT, INPAINTING, SEMANTIC, READER = (WORK / f"{name}.pt" for name in ("layout", "inpainting", "semantic", "reader"))
