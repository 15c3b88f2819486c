"""Ray-casts a scene to a picture. Shading is done in display space: the tones are chosen by eye, not by physics."""

import numpy as np

from .camera import EYE, SAMPLES, SIZE, rays
from .layout import RADIUS, box
from .solids import HEIGHT, HIT

PAINT = {  # sRGB, 0–255; brown, yellow and red differ in hue and not only in lightness, gray is darker than the grey floor
    "red": (222, 32, 38), "green": (30, 158, 52), "blue": (36, 72, 224), "yellow": (246, 214, 34),
    "cyan": (34, 208, 220), "purple": (146, 44, 190), "brown": (124, 70, 28), "gray": (118, 120, 124),
}
GROUND = {"grey": (176, 178, 180), "white": (240, 240, 238), "tan": (214, 180, 134), "dark": (66, 68, 76)}

LIGHT = np.array([-0.55, -0.42, 0.95], np.float32)
LIGHT /= np.linalg.norm(LIGHT)
AMBIENT, DIFFUSE, SHADOW = 0.46, 0.58, 0.50
LAMP_RADIUS, LAMP_POINTS = 0.11, 12

_RAYS = rays()  # [256, 256, 3]
_EYE_TO_FLOOR = rays(1)
_FLOOR = (EYE + _EYE_TO_FLOOR * (-EYE[2] / _EYE_TO_FLOOR[..., 2:])).astype(np.float32)  # floor point seen by each pixel
_FALLOFF = 1.05 - 0.16 * (1 - np.exp(-0.05 * ((_FLOOR[..., 0] + 0.8) ** 2 + (_FLOOR[..., 1] + 0.6) ** 2)))


def _lamp() -> np.ndarray:
    """Directions to points spread over a round lamp, [LAMP_POINTS, 3]; a sunflower spiral leaves no visible bands."""
    side = np.cross(LIGHT, [0, 0, 1.0])
    side /= np.linalg.norm(side)
    other = np.cross(LIGHT, side)
    k = np.arange(LAMP_POINTS) + 0.5
    r, a = LAMP_RADIUS * np.sqrt(k / LAMP_POINTS), k * 2.399963
    points = LIGHT + (r * np.cos(a))[:, None] * side + (r * np.sin(a))[:, None] * other
    return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)


_LAMP = _lamp()


def frame(thing: dict) -> tuple:
    """The object's position and the matrix that turns world directions into its own."""
    c, s = np.cos(thing["turn"]), np.sin(thing["turn"])
    return np.array([thing["x"], thing["y"], 0], np.float32), np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)


def _shade_floor(scene: dict) -> np.ndarray:
    """The floor with soft shadows, [128, 128, 3]; computed per pixel, since a shadow's edge is soft anyway."""
    light = np.ones((SIZE, SIZE), np.float32)
    for thing in scene["objects"]:
        at, turn = frame(thing)
        radius = RADIUS[thing["size"]]
        reach = HEIGHT[thing["shape"]] * radius * 0.75 / LIGHT[2]
        middle = at[:2] - LIGHT[:2] * reach * 0.5
        near = ((_FLOOR[..., :2] - middle) ** 2).sum(-1) < (radius * 1.5 + reach * 0.7) ** 2
        points = _FLOOR[near] - at
        blocked = np.zeros(len(points), np.float32)
        for towards in _LAMP:
            direction = np.broadcast_to(turn @ towards, points.shape)
            blocked += np.isfinite(HIT[thing["shape"]](points @ turn.T, direction, radius)[0])
        away = np.linalg.norm(points[:, :2], axis=-1) / radius
        contact = 0.22 * np.exp(-np.maximum(away - 0.75, 0) * 4)  # the object also hides part of the sky
        light[near] *= (1 - SHADOW * blocked / LAMP_POINTS) * (1 - contact)
    return np.array(GROUND[scene["floor"]], np.float32) * (light * _FALLOFF)[..., None]


def _shade_object(thing: dict, point, normal, direction) -> np.ndarray:
    """Colours [N, 3] at hits, all vectors in the object's world-aligned frame."""
    paint = np.array(PAINT[thing["colour"]], np.float32)
    lit = np.maximum(normal @ LIGHT, 0)
    tone = AMBIENT + 0.08 * normal[:, 2] + DIFFUSE * lit
    colour = paint * tone[:, None]
    if thing["material"] == "matte":
        return colour * 0.97
    # Highlights use a rounded normal, or a flat face would be all highlight or none and shiny cubes would look matte.
    radius = RADIUS[thing["size"]]
    centre = np.array([0, 0, HEIGHT[thing["shape"]] * radius / 2], np.float32)
    rounded = 0.3 * normal + (point - centre) / radius
    rounded /= np.linalg.norm(rounded, axis=-1, keepdims=True)
    halfway = LIGHT - direction
    halfway /= np.linalg.norm(halfway, axis=-1, keepdims=True)
    facing = np.maximum((rounded * halfway).sum(-1), 0)
    gloss = 1.0 * facing**60 + 0.34 * facing**9
    return colour * 0.94 + 255 * np.minimum(gloss, 1)[:, None] * 0.85


def render(scene: dict) -> np.ndarray:
    """The picture, uint8 [128, 128, 3]."""
    picture = _shade_floor(scene).repeat(SAMPLES, 0).repeat(SAMPLES, 1)  # [256, 256, 3]
    depth = np.full(picture.shape[:2], np.inf, np.float32)
    for thing in scene["objects"]:
        x0, y0, x1, y1 = box(thing)
        rows = slice(max(int(y0 * SAMPLES) - 6, 0), int(y1 * SAMPLES) + 7)
        columns = slice(max(int(x0 * SAMPLES) - 6, 0), int(x1 * SAMPLES) + 7)
        directions = _RAYS[rows, columns].reshape(-1, 3)
        at, turn = frame(thing)
        t, normal = HIT[thing["shape"]]((EYE - at) @ turn.T, directions @ turn.T, RADIUS[thing["size"]])
        seen = (t < depth[rows, columns].ravel())
        point = EYE - at + directions[seen] * t[seen, None]
        patch = picture[rows, columns].reshape(-1, 3)
        patch[seen] = _shade_object(thing, point, normal[seen] @ turn, directions[seen])
        picture[rows, columns] = patch.reshape(picture[rows, columns].shape)
        depth[rows, columns] = np.minimum(depth[rows, columns], t.reshape(depth[rows, columns].shape))
    mean = picture.reshape(SIZE, SAMPLES, SIZE, SAMPLES, 3).mean((1, 3))
    return np.clip(mean + 0.5, 0, 255).astype(np.uint8)
