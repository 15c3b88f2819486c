"""The trade-off between compression and detail (the paper's section 4.1, figures 6 and 7): pictures drawn from nothing by LDM-f.

U-Nets of like size, trained equally long on the same pictures; only the first stage differs. LDM-1 diffuses pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scenes import compute, diffusion, first_stage, together
from scenes.paths import KIT, WORK
from scenes.sheets import grid, save_grid
from torch import nn

from . import engine, examples, measures, results, sampling, unets

PICTURE = KIT / "plots" / "compression.webp"


@dataclass(frozen=True)
class Setting:
    stage: str | None  # of first_stage.KINDS; None: pixels
    channels: int
    widths: tuple
    attention: int  # the largest side with attention, 8 or 4 positions across at the bottom
    batch: int  # per process on a CPU

    @property
    def factor(self) -> int:
        return first_stage.KINDS[self.stage].factor if self.stage else 1

    @property
    def shape(self) -> tuple:
        """Of a latent."""
        return self.channels, 128 // self.factor, 128 // self.factor


SETTINGS = {
    "ldm-1": Setting(None, 3, (16, 24, 32, 48, 64, 80), 8, 2),
    "ldm-2": Setting("kl-f2", 2, (24, 40, 64, 96), 8, 4),
    "ldm-4": Setting("vq-f4", 3, (48, 64, 96), 8, 8),
    "ldm-8": Setting("kl-f8", 4, (64, 80, 80), 8, 16),
    "ldm-16": Setting("kl-f16", 16, (80, 96), 8, 32),
}


class Model(nn.Module):
    """v_θ(z_t, t)."""

    def __init__(self, setting: Setting):
        super().__init__()
        channels, side, _ = setting.shape
        self.unet = unets.unet(side, channels, channels, setting.widths, setting.attention)

    def forward(self, z, t):
        return self.unet(z, t).sample


def checkpoint(name: str):
    return WORK / f"unconditional-{name}.pt"


def load(name: str) -> Model:
    return diffusion.load(Model(SETTINGS[name]), checkpoint(name))


def train(name: str, minutes: float) -> None:
    if stage := SETTINGS[name].stage:
        examples.encode(stage)
    together.spawn(_train, name, minutes)
    _sheet(name, load(name).to(compute.DEVICE))


def _train(name: str, minutes: float) -> None:
    setting = SETTINGS[name]
    z = examples.latents(setting.stage).to(compute.DEVICE) if setting.stage else examples.pictures()
    torch.manual_seed(0)
    model, size = Model(setting), compute.batch(on_cpu=setting.batch, on_cuda=256)

    def batch(rng: np.random.Generator, progress: float):
        rows = rng.integers(len(z), size=size)
        return (z[compute.send(rows)] if setting.stage else compute.pictures(z[rows])), ()

    diffusion.train(model, batch, checkpoint(name), minutes, sheet=lambda mean: _sheet(name, mean), decay=0.998)


@torch.no_grad()
def draw(name: str, model: Model, count: int, seed: int = 0) -> torch.Tensor:
    """Pictures [count, 3, 128, 128] in [-1, 1]."""
    setting = SETTINGS[name]
    z = sampling.walk(model, (count, *setting.shape), seed=seed)
    if not setting.stage:
        return z
    stage = first_stage.load(setting.stage).to(compute.DEVICE)
    return first_stage.decode(stage, z / stage.config.scaling_factor)


def _sheet(name: str, model: Model) -> None:
    save_grid(draw(name, model, 24), 8, WORK / f"unconditional-{name}.png")


def measure(count: int = 150, steps: int = 25) -> None:
    """Draws through the server's engine, and compares with pictures of the kind that the models were trained on."""
    from . import export  # which knows all that can be exported

    judge = measures.Judge()
    real, unseen = judge.features(examples.pictures(0, 4000)), judge.features(examples.pictures(27_500, 500)[:count])
    found = {"pictures": count, "real": len(real), "steps": steps, "floor": measures.frechet(unseen, real), "models": {}}
    for name, setting in SETTINGS.items():
        if not checkpoint(name).exists():
            continue
        folder = export.unconditional(name)
        drawn, _ = engine.draw(folder.name, count, steps, folder=folder.parent, task={"unconditional": {}})
        found["models"][name] = {"f": setting.factor, "frechet": measures.frechet(judge.features(drawn), real),
                                 "parameters": unets.size(load(name)), **diffusion.effort(checkpoint(name))}
        Image.fromarray(grid(drawn[:8], 8)).save(WORK / f"drawn-{name}.png")
    rows = [np.asarray(Image.open(WORK / f"drawn-{name}.png")) for name in found["models"]]
    Image.fromarray(np.concatenate(rows)).save(PICTURE, quality=88, method=6)
    results.save("compression", found)
