"""What people paint over: boxes around objects, boxes and strokes anywhere, or all of a picture. uint8 [128, 128], 1 is to be drawn anew."""

import numpy as np
from PIL import Image, ImageDraw

from scenes.camera import SIZE
from scenes.layout import box

# Shares of the kinds, in this order.
KINDS = {"object": 0.45, "box": 0.2, "strokes": 0.25, "all": 0.1}
HIDDEN = 0.6  # an object of whose box that much is masked is to be drawn


def around(thing: dict, rng: np.random.Generator) -> np.ndarray:
    """The object's box and some pixels more on each side, for its shadow too."""
    x0, y0, x1, y1 = box(thing)
    left, top, right, bottom = rng.integers(2, 15, size=4)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[max(int(y0) - top, 0) : int(y1) + bottom, max(int(x0) - left, 0) : int(x1) + right] = 1
    return mask


def _box(rng: np.random.Generator) -> np.ndarray:
    width, height = rng.integers(24, 100, size=2)
    x, y = rng.integers(0, SIZE - width), rng.integers(0, SIZE - height)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[y : y + height, x : x + width] = 1
    return mask


def _strokes(rng: np.random.Generator) -> np.ndarray:
    """One to three broken lines with round ends."""
    picture = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, 4)):
        at, radius = rng.uniform(10, SIZE - 10, size=2), int(rng.integers(5, 16))
        for _ in range(rng.integers(1, 5)):
            to = np.clip(at + rng.normal(0, 30, size=2), 0, SIZE)
            pen.line([*at, *to], fill=1, width=2 * radius)
            for x, y in (at, to):
                pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1)
            at = to
    return np.array(picture)


def draw(scene: dict, rng: np.random.Generator) -> np.ndarray:
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    if kind == "object":
        return around(scene["objects"][rng.integers(len(scene["objects"]))], rng)
    if kind == "all":
        return np.ones((SIZE, SIZE), np.uint8)
    return _box(rng) if kind == "box" else _strokes(rng)


def hidden(scene: dict, mask: np.ndarray) -> list[dict]:
    """The objects under a mask."""
    found = []
    for thing in scene["objects"]:
        x0, y0, x1, y1 = (int(side) for side in box(thing))
        if mask[max(y0, 0) : y1, max(x0, 0) : x1].mean() > HIDDEN:
            found.append(thing)
    return found


def shrunk(mask: np.ndarray) -> np.ndarray:
    """As small as the latent, [16, 16]: the value at the top left of each square, as the server has it."""
    return mask[::8, ::8]
