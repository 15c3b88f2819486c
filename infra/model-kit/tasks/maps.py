"""Maps of classes: what each pixel of a scene shows. Classes 0–3 are the floors, 4 + kind the objects, "red sphere" the first of them."""

import multiprocessing
from functools import cache

import numpy as np
from scipy import ndimage

from scenes.camera import EYE, SIZE, rays
from scenes.layout import RADIUS, box
from scenes.render import PAINT, GROUND, frame
from scenes.solids import HIT
from scenes.words import FLOORS

from .examples import KINDS, kind

LABELS = [f"{floor} floor" for floor in FLOORS] + KINDS
OBJECTS = len(FLOORS)  # the first class that is an object

WARPED, CRUDE = 0.35, 0.35  # shares of the maps that are bent, and whose objects are painted as people do
BEND = 4  # pixels

_rays = cache(lambda: rays(1))


def label_map(scene: dict) -> np.ndarray:
    """uint8 [128, 128]."""
    labels = np.full((SIZE, SIZE), FLOORS.index(scene["floor"]), np.uint8)
    for thing in scene["objects"]:  # No two overlap on screen.
        x0, y0, x1, y1 = box(thing)
        part = slice(max(int(y0) - 3, 0), int(y1) + 4), slice(max(int(x0) - 3, 0), int(x1) + 4)
        directions = _rays()[part].reshape(-1, 3)
        at, turn = frame(thing)
        depth, _ = HIT[thing["shape"]]((EYE - at) @ turn.T, directions @ turn.T, RADIUS[thing["size"]])
        labels[part][np.isfinite(depth).reshape(labels[part].shape)] = OBJECTS + kind(thing)
    return labels


def make(scenes: list[dict]) -> np.ndarray:
    """Maps of many, uint8 [N, 128, 128]."""
    with multiprocessing.Pool() as pool:
        return np.stack(pool.map(label_map, scenes, 500))


def roughened(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As someone might have painted it: outlines bent, or objects as mere blobs."""
    at = rng.random()
    if at < WARPED:
        bend = [ndimage.zoom(rng.normal(0, BEND, (5, 5)), SIZE / 5, order=1) for _ in range(2)]
        y, x = np.mgrid[:SIZE, :SIZE]
        return labels[np.clip(y + bend[0], 0, SIZE - 1).astype(int), np.clip(x + bend[1], 0, SIZE - 1).astype(int)]
    if at > WARPED + CRUDE:
        return labels
    rough = np.where(labels < OBJECTS, labels, _floor(labels))
    y, x = np.mgrid[:SIZE, :SIZE]
    for found in range(OBJECTS, len(LABELS)):
        pieces, count = ndimage.label(labels == found)
        for number in range(1, count + 1):
            rows, columns = np.nonzero(pieces == number)
            middle, half = np.array([rows.mean(), columns.mean()]), np.array([np.ptp(rows), np.ptp(columns)]) / 2 + 1
            half, power = half * rng.uniform(0.8, 1.15), rng.uniform(1.6, 5)  # from a rounded diamond to nearly a box
            inside = (np.abs((y - middle[0]) / half[0]) ** power + np.abs((x - middle[1]) / half[1]) ** power) < 1
            rough[inside] = found
    return rough


def _floor(labels: np.ndarray) -> int:
    return int(np.bincount(labels[labels < OBJECTS]).argmax())


def colours() -> list[tuple]:
    """A colour for each class, with which it is painted: the floor's own; an object's paint, a little lighter or darker by shape."""
    shades = (1.0, 0.82, 1.18, 0.64)
    return [GROUND[floor] for floor in FLOORS] + [
        tuple(int(np.clip(round(channel * shade), 0, 255)) for channel in PAINT[name.split()[0]])
        for name, shade in ((name, shades[number % 4]) for number, name in enumerate(KINDS))
    ]
