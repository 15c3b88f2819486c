"""What the tasks are trained on: the text model's pictures and the judge's, so that all 32 pairs of colour and shape are among them."""

import torch

from scenes import data, first_stage
from scenes.words import COLOURS, SHAPES

SETS = ("train", "judge")

# What a class, the label of a box or the colour of a map can mean: "red sphere", number 4 · colour + shape.
KINDS = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]


def kind(thing: dict) -> int:
    return COLOURS.index(thing["colour"]) * len(SHAPES) + SHAPES.index(thing["shape"])


def load() -> tuple[torch.Tensor, list[dict]]:
    """Latents bfloat16 [N, 4, 16, 16] and their scenes."""
    for part in SETS:
        if not first_stage.latents(part=part).exists():
            first_stage.encode_all(part=part)
    scenes = [scene for part in SETS for scene in data.load_scenes(part)]
    return torch.cat([torch.load(first_stage.latents(part=part)) for part in SETS]), scenes
