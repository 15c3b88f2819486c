"""The folder of golden files, and how they are written."""

import atexit
import base64
import gzip
import json
import shutil
from pathlib import Path

import diffusers
import numpy
import torch

folder = Path(__file__).parents[3] / "worker-gpu" / "golden"


def fresh(name: str) -> Path:
    """An empty folder, which keep() puts in the place of that name: what fails in the midst leaves what was there."""
    made = folder / f"{name}.new"
    shutil.rmtree(made, ignore_errors=True)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    made.mkdir()
    return made


def keep(made: Path) -> None:
    shutil.rmtree(made.with_suffix(""), ignore_errors=True)
    made.rename(made.with_suffix(""))


def write(name: str, content: dict) -> None:
    made = {"command": "python infra/model-kit/reference", "torch": torch.__version__, "diffusers": diffusers.__version__, **content}
    if name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(json.dumps(made, separators=(",", ":")).encode(), 9, mtime=0))
    else:
        (folder / name).write_text(json.dumps(made, indent="\t") + "\n")


def floats(tensor: torch.Tensor) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def packed(values) -> str:
    """float32, little-endian, base64."""
    return base64.b64encode(numpy.asarray(values, dtype="<f4").tobytes()).decode()
