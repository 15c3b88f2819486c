"""Draws a scene at random: which objects, where. No two objects overlap on screen and all are in frame."""

import numpy as np

from .camera import SIZE, project
from .solids import HEIGHT, WIDTH
from .words import COLOURS, FLOORS, HELD_OUT, MATERIALS, SHAPES, SIZES

RADIUS = {"small": 0.48, "large": 0.80}  # world units
MARGIN = 3  # pixels between an object and the picture's edge
GAP = 2  # pixels between two objects' boxes
COUNTS = (0.3, 0.5, 0.2)  # one, two, three objects; two weigh most, since binding words to objects is what is hard to learn
# Where most are to look alike: how many do (with the first itself), how often all are of one size, and that this is the large one.
LIKE_FIRST, ONE_SIZE, LARGE = (0.4, 0.25, 0.35), 0.8, 0.12


def box(thing: dict) -> tuple:
    """Screen bounding box (x0, y0, x1, y1) in pixels, a little generous."""
    radius = RADIUS[thing["size"]]
    wide, tall = WIDTH[thing["shape"]] * radius, HEIGHT[thing["shape"]] * radius
    ring = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    heights = [0.0, tall] if thing["shape"] in ("cube", "cylinder") else [tall / 2] if thing["shape"] == "sphere" else [0.0]
    points = [[thing["x"] + wide * np.cos(a), thing["y"] + wide * np.sin(a), z] for z in heights for a in ring]
    points.append([thing["x"], thing["y"], tall])
    if thing["shape"] == "sphere":  # the silhouette leans out of the equator's plane
        points += [[thing["x"], thing["y"] - 0.6 * radius, 0.2 * radius], [thing["x"], thing["y"] + 0.6 * radius, 1.8 * radius]]
    on_screen = project(np.array(points, np.float32))
    return (*on_screen.min(0), *on_screen.max(0))


def _apart(a: tuple, b: tuple) -> bool:
    return a[2] + GAP < b[0] or b[2] + GAP < a[0] or a[3] + GAP < b[1] or b[3] + GAP < a[1]


def _in_frame(b: tuple) -> bool:
    return b[0] >= MARGIN and b[1] >= MARGIN and b[2] <= SIZE - MARGIN and b[3] <= SIZE - MARGIN


def _thing(rng: np.random.Generator, held_out: bool) -> dict:
    """One object's looks; with held_out the four withheld pairs may appear."""
    while True:
        shape, colour = SHAPES[rng.integers(4)], COLOURS[rng.integers(8)]
        if held_out or (colour, shape) not in HELD_OUT:
            break
    turn = _turn(shape, rng)
    return {"shape": shape, "colour": colour, "size": SIZES[rng.integers(2)],
            "material": MATERIALS[rng.integers(2)], "turn": turn}


def _turn(shape: str, rng: np.random.Generator) -> float:
    """A cube stays near three-quarter view so that two sides and the top always show as three flat tones."""
    return float(np.deg2rad(rng.uniform(18, 42))) if shape == "cube" else 0.0


def _liken(things: list[dict], rng: np.random.Generator) -> None:
    """Makes most of the things look like the first, and be of one size: what "three cubes" asks for, and chance seldom gives."""
    for thing in things[1 : rng.choice([1, 2, 3], p=LIKE_FIRST)]:
        thing |= things[0] | {"turn": _turn(things[0]["shape"], rng)}
    if rng.random() < ONE_SIZE:
        size = SIZES[int(rng.random() < LARGE)]
        for thing in things:
            thing["size"] = size


def draw(rng: np.random.Generator, held_out: bool = False, counts: tuple = COUNTS, alike: bool = False) -> dict:
    """A scene: {"floor": word, "objects": [{shape, colour, size, material, x, y, turn}]}."""
    count = 1 + int(rng.choice(3, p=counts))
    things = [_thing(rng, held_out) for _ in range(count)]
    if alike:
        _liken(things, rng)
    while True:
        boxes = []
        for thing in things:
            for _ in range(30):
                thing["x"], thing["y"] = float(rng.uniform(-1.9, 1.9)), float(rng.uniform(-2.0, 2.0))
                placed = box(thing)
                if _in_frame(placed) and all(_apart(placed, other) for other in boxes):
                    boxes.append(placed)
                    break
            else:
                break
        if len(boxes) == count:
            return {"floor": FLOORS[rng.integers(4)], "objects": things}
