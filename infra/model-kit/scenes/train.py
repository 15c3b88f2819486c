"""Trains the denoiser and τθ together on captioned scenes: see diffusion.py."""

import numpy as np
import torch
from torch import nn

from . import compute, data, denoiser, diffusion, first_stage, pipeline, together, tokenizer
from .captions import caption
from .paths import DENOISER, LATENTS, WORK
from .sheet import PROMPTS
from .sheets import save_grid

NO_CAPTION = 0.1  # share of empty prompts, which classifier-free guidance needs


def by_count(scenes: list[dict]) -> list[np.ndarray]:
    """Rows of the scenes with one, two and three objects."""
    return [np.array([i for i, scene in enumerate(scenes) if len(scene["objects"]) == count]) for count in (1, 2, 3)]


def _shares(progress: float) -> np.ndarray:
    """Shares of scenes with one, two and three objects. One object first: there each word has only one thing to be about."""
    return np.array([0.8, 0.2, 0.0]) * (1 - progress) + np.array([0.3, 0.5, 0.2]) * progress


class _Model(nn.Module):
    """Both networks as one, so that they share an optimiser and an average."""

    def __init__(self, words: int):
        super().__init__()
        self.unet, self.text = denoiser.unet(), denoiser.text_encoder(words)

    def forward(self, z, t, tokens):
        return self.unet(z, t, self.text(tokens)[0]).sample


def _sheet(model: _Model) -> None:
    torch.manual_seed(0)
    pipe = pipeline.assemble(model.unet, model.text, first_stage.load().to(compute.DEVICE))
    save_grid(pipeline.draw(pipe, PROMPTS[:16]), 8, WORK / "training.png")


def train(minutes: float) -> None:
    together.spawn(_train, minutes)
    finish()


def _train(minutes: float) -> None:
    torch.manual_seed(0)
    latents = torch.load(LATENTS)
    scenes = data.load_scenes("train")[: len(latents)]
    rows_of, words = by_count(scenes), tokenizer.build()
    size = compute.batch(on_cpu=20, on_cuda=512)

    def batch(rng: np.random.Generator, progress: float):
        rows = np.array([rng.choice(rows_of[k]) for k in rng.choice(3, p=_shares(progress), size=size)])
        said = ["" if rng.random() < NO_CAPTION else caption(scenes[row], rng) for row in rows]
        return latents[rows], (tokenizer.encode(words, said),)

    diffusion.train(_Model(len(words)), batch, DENOISER, minutes, sheet=_sheet)


def load() -> tuple:
    """The averaged U-Net and text encoder of the latest checkpoint; also works while training runs."""
    model = diffusion.load(_Model(len(tokenizer.build())), DENOISER)
    return model.unet, model.text


def finish() -> None:
    """Writes the diffusers folder from the latest checkpoint."""
    pipeline.save(*load(), first_stage.load())
