"""The fixed captions and real pictures on which the model and its judge are measured, written beside the judge."""

import json

import numpy as np
from PIL import Image

from . import data
from .captions import RELATIONS, phrase, relation
from .layout import draw
from .paths import JUDGE
from .render import render
from .sheets import grid
from .words import COLOURS, FLOORS, HELD_OUT, MATERIALS, SHAPES, SIZES

# What of several is alike: objects of one number are.
SEVERAL = {"two alike": (0, 0), "three alike": (0, 0, 0), "two alike and another": (0, 0, 1), "three kinds": (0, 1, 2)}

COLUMNS = 40  # tiles per row of real.webp and several.webp


def _looks(rng: np.random.Generator, colour: str, shape: str) -> dict:
    return {"colour": colour, "shape": shape, "size": str(rng.choice(SIZES)), "material": str(rng.choice(MATERIALS))}


def captions() -> dict:
    """200 single-object captions, 40 of them of the withheld pairs, 100 of two objects in different colours, and 120 of several as the translator says them."""
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
    several = []
    for kind, alike in SEVERAL.items():
        for number in range(30):
            size = str(rng.choice(SIZES)) if number % 3 == 0 else "small" if len(alike) == 3 else ""
            material = str(rng.choice(MATERIALS)) if number % 3 == 1 else ""
            pairs = [seen[i] for i in rng.choice(len(seen), len(set(alike)), replace=False)]
            things = [dict(zip(("colour", "shape"), pairs[which])) for which in alike]
            said = [" ".join(word for word in ("a", size, material, thing["colour"], thing["shape"]) if word) for thing in things]
            text = f"{', '.join(said[:-1])} and {said[-1]}" + (f" on a {rng.choice(FLOORS)} floor" if number % 2 else "")
            several.append({"caption": text, "objects": things, "kind": kind})
    return {"single": single, "double": double, "several": several}


def _told(scene: dict) -> dict:
    """What a real picture shows; of two objects also where the first one stands, seen from the second."""
    things = scene["objects"]
    told = {"floor": scene["floor"], "objects": [{key: thing[key] for key in ("colour", "shape", "size", "material")} for thing in things]}
    return told | {"relation": relation(*things)} if len(things) == 2 else told


def several() -> list[dict]:
    """Scenes of two and three objects, many of them alike, of which the others have few."""
    rng = np.random.default_rng(5)
    return [draw(rng, held_out=True, counts=(0, 0.3, 0.7), alike=True) for _ in range(3 * COLUMNS)]


def write() -> None:
    JUDGE.mkdir(exist_ok=True)
    (JUDGE / "captions.json").write_text(json.dumps(captions(), indent=1) + "\n")
    _write("real", *data.load("real"))
    _write("several", np.stack([render(scene) for scene in several()]), several())


def _write(name: str, pictures: np.ndarray, scenes: list[dict]) -> None:
    Image.fromarray(grid(pictures, COLUMNS)).save(JUDGE / f"{name}.webp", quality=92, method=6)
    lines = ",\n".join(json.dumps(_told(scene)) for scene in scenes)
    (JUDGE / f"{name}.json").write_text(f'{{"columns": {COLUMNS}, "side": 128, "tiles": [\n{lines}\n]}}\n')
