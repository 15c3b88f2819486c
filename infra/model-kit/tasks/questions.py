"""What the task models are asked in their evaluation, written beside the judge: about its real scenes, so that each measure is tried on real pictures too.

    tasks.json     layouts, and masks with what is to be drawn under them; `real` is the number of a tile of real.webp
    maps.png       maps of the first real scenes, in the colours of the catalog, as many in a row
    floors.png     the four floors with nothing on them
"""

import json

import numpy as np
from PIL import Image

from scenes import data
from scenes.layout import box as pixels
from scenes.paths import JUDGE
from scenes.render import render
from scenes.sheets import grid
from scenes.words import FLOORS

from . import examples, layout, maps

LAYOUTS, MASKS, MAPS = 150, 100, 60
COLUMNS = 20  # of maps.png
AROUND = 8  # pixels of a mask beyond the object's box, for its shadow


def _boxes(scene: dict) -> list[dict]:
    return [{"label": examples.kind(thing), "box": [round(side, 4) for side in layout.box(thing)]} for thing in scene["objects"]]


def _mask(scene: dict, number: int) -> dict:
    """One object is to become another, of the same size."""
    thing = scene["objects"][number % len(scene["objects"])]
    x0, y0, x1, y1 = pixels(thing)
    asked = (examples.kind(thing) + 5 + 3 * number) % len(examples.KINDS)
    if asked == examples.kind(thing):
        asked = (asked + 5) % len(examples.KINDS)
    mask = [max(int(x0) - AROUND, 0), max(int(y0) - AROUND, 0), min(int(x1) + AROUND, 128), min(int(y1) + AROUND, 128)]
    return {"mask": mask, "box": [round(float(side), 1) for side in (x0, y0, x1, y1)], "label": asked, "caption": f"a {thing['size']} {thing['material']} {examples.KINDS[asked]} on a {scene['floor']} floor"}


def write() -> None:
    scenes = data.load_scenes("real")
    asked = {
        "labels": examples.KINDS, "floors": FLOORS,
        "layouts": [{"real": i, "boxes": _boxes(scenes[i])} for i in range(LAYOUTS)],
        "masks": [{"real": i, **_mask(scenes[i], i)} for i in range(MASKS)],
        "maps": {"count": MAPS, "classes": [{"name": name, "color": "#%02x%02x%02x" % colour} for name, colour in zip(maps.LABELS, maps.colours())]},
    }
    lines = {key: ",\n".join(json.dumps(row) for row in asked[key]) for key in ("layouts", "masks")}
    rest = {key: json.dumps(asked[key]) for key in ("labels", "floors", "maps")}
    body = ",\n".join([f'"{key}": {text}' for key, text in rest.items()] + [f'"{key}": [\n{text}\n]' for key, text in lines.items()])
    (JUDGE / "tasks.json").write_text(f"{{{body}}}\n")
    painted = np.array(maps.colours(), np.uint8)[np.stack([maps.label_map(scene) for scene in scenes[:MAPS]])]
    Image.fromarray(grid(painted, COLUMNS)).quantize(64).save(JUDGE / "maps.png", optimize=True)
    floors = np.stack([render({"floor": floor, "objects": []}) for floor in FLOORS])
    Image.fromarray(grid(floors, len(FLOORS))).save(JUDGE / "floors.png", optimize=True)
