"""Draws the fixed captions with the diffusers folder's weights and lets the judge read the pictures.

For tuning only: the published figures come from the server's own engine, with the same judge and captions.
"""

import json

from diffusers import StableDiffusionPipeline

from . import compute, judge, pipeline, questions
from .paths import PIPELINE, WORK
from .sheets import save_grid
from .words import COLOURS, SHAPES


def _share(hits: list) -> float:
    return round(sum(hits) / max(len(hits), 1), 3)


def evaluate(guidance: float = 3.0, steps: int = 25, share: float = 1.0) -> dict:
    """Shares right, 0–1. share < 1 takes only that part of the captions, evenly spread, for a quick look."""
    pipe = StableDiffusionPipeline.from_pretrained(PIPELINE, safety_checker=None).to(compute.DEVICE)
    asked, reader = questions.captions(), judge.load()
    stride = round(1 / share)
    single, double = asked["single"][::stride], asked["double"][::stride]
    one = pipeline.draw(pipe, [q["caption"] for q in single], 1, steps, guidance)
    two = pipeline.draw(pipe, [q["caption"] for q in double], 2, steps, guidance)
    save_grid(one[:160], 20, WORK / "evaluated-single.png")
    save_grid(two[:100], 10, WORK / "evaluated-double.png")
    read, read_two = judge.judged(reader, one), judge.judged(reader, two)

    right = {name: [judge.HEADS[name][i] == q[name] for i, q in zip(read[name].argmax(1).tolist(), single)]
             for name in ("colour", "shape", "size", "material", "floor")}
    right["one object"] = (read["count"].argmax(1) == 0).tolist()
    both = [c and s for c, s in zip(right["colour"], right["shape"])]
    unseen = [q["unseen"] for q in single]

    def present(name: str, words: list, key: str) -> list:
        bits = read_two[name] > 0
        return [all(bits[row, words.index(thing[key])] for thing in q["objects"]) for row, q in enumerate(double)]

    result = {
        "single": {name: _share(hits) for name, hits in right.items()},
        "colour and shape, seen pairs": _share([hit for hit, u in zip(both, unseen) if not u]),
        "colour and shape, unseen pairs": _share([hit for hit, u in zip(both, unseen) if u]),
        "double": {"both colours": _share(present("present_colour", COLOURS, "colour")), "both shapes": _share(present("present_shape", SHAPES, "shape")),
                   "two objects": _share((read_two["count"].argmax(1) == 1).tolist())},
        "by shape": {shape: _share([hit for hit, q in zip(right["shape"], single) if q["shape"] == shape]) for shape in SHAPES},
    }
    print(json.dumps(result, indent=2))
    return result
