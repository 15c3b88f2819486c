"""The fixed captions and real pictures on which the model and its judge are measured, written beside the judge."""

import json

import numpy as np
from PIL import Image

from . import data
from .captions import RELATIONS, phrase, relation
from .paths import JUDGE
from .sheets import grid
from .words import COLOURS, FLOORS, HELD_OUT, MATERIALS, SHAPES, SIZES

COLUMNS = 40  # tiles per row of real.webp


def _looks(rng: np.random.Generator, colour: str, shape: str) -> dict:
    return {"colour": colour, "shape": shape, "size": str(rng.choice(SIZES)), "material": str(rng.choice(MATERIALS))}


def captions() -> dict:
    """200 single-object captions, 40 of them of the withheld pairs, and 100 of two objects in different colours."""
    rng = np.random.default_rng(4)
    seen = [(colour, shape) for shape in SHAPES for colour in COLOURS if (colour, shape) not in HELD_OUT]
    pairs = [seen[i % len(seen)] for i in range(160)] + sorted(HELD_OUT) * 10
    single = []
    for colour, shape in pairs:
        thing, floor = _looks(rng, colour, shape), str(rng.choice(FLOORS))
        single.append({"caption": f"{phrase(thing)} on a {floor} floor", **thing, "floor": floor, "unseen": (colour, shape) in HELD_OUT})
    double = []
    while len(double) < 100:
        a, b = (_looks(rng, *seen[rng.integers(len(seen))]) for _ in range(2))
        if a["colour"] == b["colour"]:
            continue
        relation = list(RELATIONS)[len(double) % len(RELATIONS)]
        text = f"{phrase(a)} {RELATIONS[relation][0]} {phrase(b)} on a {rng.choice(FLOORS)} floor"
        double.append({"caption": text, "objects": [a, b], "relation": relation})
    return {"single": single, "double": double}


def _told(scene: dict) -> dict:
    """What a real picture shows; of two objects also where the first one stands, seen from the second."""
    things = scene["objects"]
    told = {"floor": scene["floor"], "objects": [{key: thing[key] for key in ("colour", "shape", "size", "material")} for thing in things]}
    return told | {"relation": relation(*things)} if len(things) == 2 else told


def write() -> None:
    JUDGE.mkdir(exist_ok=True)
    (JUDGE / "captions.json").write_text(json.dumps(captions(), indent=1) + "\n")
    pictures, scenes = data.load("real")
    Image.fromarray(grid(pictures, COLUMNS)).save(JUDGE / "real.webp", quality=92, method=6)
    tiles = [_told(scene) for scene in scenes]
    lines = ",\n".join(json.dumps(tile) for tile in tiles)
    (JUDGE / "real.json").write_text(f'{{"columns": {COLUMNS}, "side": 128, "tiles": [\n{lines}\n]}}\n')
