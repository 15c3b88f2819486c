"""Writes batches of pictures as one PNG."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def to_uint8(pictures: torch.Tensor) -> np.ndarray:
    """float [N, 3, H, W] in [-1, 1] to uint8 [N, H, W, 3]."""
    return ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """uint8 [N, H, W, 3] to one picture, row by row."""
    n, h, w, _ = pictures.shape
    rows = -(-n // columns)
    sheet = np.full((rows * columns, h, w, 3), 255, np.uint8)
    sheet[:n] = pictures
    return sheet.reshape(rows, columns, h, w, 3).transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, 3)


def save_grid(pictures: torch.Tensor, columns: int, path: Path) -> None:
    Image.fromarray(grid(to_uint8(pictures), columns)).save(path)
