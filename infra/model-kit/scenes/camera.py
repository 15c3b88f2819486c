"""One fixed pinhole camera above a floor plane z = 0. World units: x right, y away, z up.

Fixed on purpose: the denoiser has minutes, and a moving camera would spend them on perspective instead of composition.
"""

import numpy as np

SIZE = 128  # picture side in pixels
SAMPLES = 2  # supersampling per axis

EYE = np.array([0.0, -12.5, 8.6], np.float32)
TARGET = np.array([0.0, 0.05, 0.25], np.float32)
HALF_WIDTH = 0.174  # tan of half the field of view

_forward = TARGET - EYE
_forward /= np.linalg.norm(_forward)
_right = np.cross(_forward, np.array([0.0, 0.0, 1.0], np.float32))
_right /= np.linalg.norm(_right)
_up = np.cross(_right, _forward)


def rays(samples: int = SAMPLES) -> np.ndarray:
    """Unit directions through every sub-pixel, [SIZE*samples, SIZE*samples, 3]."""
    side = SIZE * samples
    ticks = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * HALF_WIDTH
    directions = _forward + ticks[None, :, None] * _right - ticks[:, None, None] * _up
    return (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).astype(np.float32)


def project(points: np.ndarray) -> np.ndarray:
    """World points [N, 3] to pixel positions [N, 2] (x right, y down)."""
    offset = points - EYE
    depth = offset @ _forward
    x = offset @ _right / (depth * HALF_WIDTH)
    y = -(offset @ _up) / (depth * HALF_WIDTH)
    return (np.stack([x, y], -1) + 1) * (SIZE / 2)
