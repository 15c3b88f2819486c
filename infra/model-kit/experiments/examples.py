"""What the experiments train on: the first pictures of the training set, so many that none is seen often in minutes."""

import numpy as np
import torch
from scenes import compute, data, first_stage
from scenes.paths import DATA
from tqdm import tqdm

COUNT = 12_000


def pictures(start: int = 0, count: int = COUNT) -> np.ndarray:
    """uint8 [count, 128, 128, 3]."""
    shards = range(start // data.SHARD, (start + count) // data.SHARD)
    return np.concatenate([np.load(DATA / "train" / f"{shard:04d}.npy") for shard in shards])


@torch.no_grad()
def latents(stage: str) -> torch.Tensor:
    """Their latents, scaled to unit variance, bfloat16 [COUNT, C, 128/f, 128/f]; made where there are none yet."""
    # Of the shipped first stage there are all anyway.
    path = first_stage.latents(stage) if stage == first_stage.SHIPPED else first_stage.latents(stage, "experiments")
    if not path.exists():
        model, shown, parts = first_stage.load(stage).to(compute.DEVICE), pictures(), []
        for start in tqdm(range(0, len(shown), 50), desc=f"latents of {stage}"):
            with compute.autocast():
                z = first_stage.encode(model, compute.pictures(shown[start : start + 50]))
            parts.append((z.float() * model.config.scaling_factor).to(torch.bfloat16).cpu())
        torch.save(torch.cat(parts), path)
    return torch.load(path)[:COUNT]
