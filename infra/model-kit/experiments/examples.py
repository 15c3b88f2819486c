"""What the experiments train on: the first pictures of the training set, so many that none is seen often in minutes."""

from pathlib import Path

import numpy as np
import torch
from scenes import compute, data, first_stage, together
from scenes.paths import DATA
from tqdm import tqdm

COUNT = 12_000


def pictures(start: int = 0, count: int = COUNT) -> np.ndarray:
    """uint8 [count, 128, 128, 3]."""
    shards = range(start // data.SHARD, (start + count) // data.SHARD)
    return np.concatenate([np.load(DATA / "train" / f"{shard:04d}.npy") for shard in shards])


def latents(stage: str) -> torch.Tensor:
    """Their latents, scaled to unit variance, bfloat16 [COUNT, C, 128/f, 128/f]."""
    return torch.load(_path(stage))[:COUNT]


def encode(stage: str) -> None:
    """Makes them where there are none yet."""
    if not _path(stage).exists():
        together.spawn(_encode, stage)


def _path(stage: str) -> Path:
    # Of the shipped first stage there are all anyway.
    return first_stage.latents(stage) if stage == first_stage.SHIPPED else first_stage.latents(stage, "experiments")


@torch.no_grad()
def _encode(stage: str) -> None:
    """Each process encodes its part; the first one gathers them."""
    model = first_stage.load(stage).to(compute.DEVICE)
    mine, parts = pictures()[together.rank() :: together.count()], []
    for start in tqdm(range(0, len(mine), 50), desc=f"latents of {stage}", disable=together.rank() > 0):
        with compute.autocast():
            z = first_stage.encode(model, compute.pictures(mine[start : start + 50]))
        parts.append((z.float() * model.config.scaling_factor).to(torch.bfloat16))
    if (every := together.gather(torch.cat(parts))) is not None:
        torch.save(torch.stack(every, 1).flatten(0, 1).cpu(), _path(stage))
