"""Unconditional synthesis (the paper's §4.1): a U-Net that is told nothing draws scenes of its own."""

import numpy as np
import torch
from experiments import sampling, unets
from torch import nn

from scenes import compute, diffusion, first_stage, together
from scenes.paths import WORK
from scenes.sheets import save_grid

from . import examples
from .paths import UNCONDITIONAL


class Model(nn.Module):
    """v_θ(z_t, t)."""

    def __init__(self):
        super().__init__()
        self.unet = unets.unet(16, 4, 4, (64, 96, 128), attention=8)

    def forward(self, z, t):
        return self.unet(z, t).sample


def train(minutes: float) -> None:
    together.spawn(_train, minutes)


def _train(minutes: float) -> None:
    latents = examples.load()[0].to(compute.DEVICE)
    torch.manual_seed(0)
    size = compute.batch(on_cpu=20, on_cuda=512)

    def batch(rng: np.random.Generator, progress: float):
        return latents[compute.send(rng.integers(len(latents), size=size))], ()

    diffusion.train(Model(), batch, UNCONDITIONAL, minutes, sheet=_sheet)


def _sheet(model: Model) -> None:
    stage = first_stage.load().to(compute.DEVICE)
    save_grid(first_stage.decode(stage, sampling.walk(model, (24, 4, 16, 16)) / stage.config.scaling_factor), 8, WORK / "unconditional.png")
