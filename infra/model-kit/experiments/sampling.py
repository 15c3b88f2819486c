"""Deterministic DDIM for sheets of a network in training; what is measured comes from the server's own engine."""

from collections.abc import Callable

import torch
from scenes import compute

from . import unets


@torch.no_grad()
def walk(predict: Callable, shape: tuple, steps: int = 25, seed: int = 0) -> torch.Tensor:
    """z_0 of the shape by v = predict(z, t [N])."""
    schedule = unets.scheduler()
    schedule.set_timesteps(steps)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(compute.DEVICE)
    for t in schedule.timesteps:
        x = schedule.step(predict(x, t.expand(len(x)).to(compute.DEVICE)), t, x, eta=0.0).prev_sample
    return x
