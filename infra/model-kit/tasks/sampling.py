"""Draws with a network in training, for its sheets: deterministic DDIM, as the server samples by default."""

from collections.abc import Callable

import torch
from diffusers import DDIMScheduler

from scenes import compute, denoiser


@torch.no_grad()
def latents(count: int, predict: Callable, seed: int = 0, steps: int = 25, height: int = 16, width: int = 16) -> torch.Tensor:
    """z_0 [count, 4, height, width] by v = predict(z [count, …], t [count])."""
    schedule = DDIMScheduler.from_config(denoiser.scheduler().config)
    schedule.set_timesteps(steps)
    x = torch.randn(count, 4, height, width, generator=torch.Generator().manual_seed(seed)).to(compute.DEVICE)
    for t in schedule.timesteps:
        x = schedule.step(predict(x, t.expand(count).to(compute.DEVICE)), t, x, eta=0.0).prev_sample
    return x


def guided(net: Callable, scale: float) -> Callable:
    """Classifier-free guidance: net(z, t, told) with and without what it is told."""

    def predict(x, t):
        blind, seeing = net(x, t, False), net(x, t, True)
        return blind + scale * (seeing - blind)

    return predict


@torch.no_grad()
def decode(vae, z: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, 8 h, 8 w] in [-1, 1]."""
    return vae.decode(z / vae.config.scaling_factor).sample.float().clamp(-1, 1)
