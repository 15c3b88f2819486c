"""Trains the denoiser and τθ together on captioned scenes: see diffusion.py."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from . import compute, data, denoiser, diffusion, first_stage, pipeline, together, tokenizer
from .captions import caption
from .paths import DENOISER, LATENTS, WORK
from .sheet import PROMPTS
from .sheets import save_grid

NO_CAPTION = 0.1  # share of empty prompts, which classifier-free guidance needs
SAID = 8  # captions of each scene, drawn once


def by_count(scenes: list[dict]) -> list[np.ndarray]:
    """Rows of the scenes with one, two and three objects."""
    return [np.array([i for i, scene in enumerate(scenes) if len(scene["objects"]) == count]) for count in (1, 2, 3)]


def _shares(progress: float) -> np.ndarray:
    """Shares of scenes with one, two and three objects. One object first: there each word has only one thing to be about."""
    return np.array([0.8, 0.2, 0.0]) * (1 - progress) + np.array([0.3, 0.55, 0.15]) * progress


def some(of: list[np.ndarray], shares: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` rows, so large a share of them from each of `of`."""
    which = rng.choice(len(of), p=shares, size=count)
    rows = np.empty(count, np.int64)
    for number, those in enumerate(of):
        rows[which == number] = rng.choice(those, np.count_nonzero(which == number))
    return rows


class Captions:
    """What is said of each of N things, as token numbers [N, SAID, LENGTH]: told anew for every batch it would take longer than a step on a GPU."""

    def __init__(self, tell: Callable, count: int):
        """tell: row → a caption, another one each time."""
        words = tokenizer.build()
        said = [tell(row) for row in range(count) for _ in range(SAID)]
        self._tokens = tokenizer.encode(words, said).to(torch.uint8).view(count, SAID, -1).to(compute.DEVICE)
        self._nothing = tokenizer.encode(words, [""]).to(compute.DEVICE)

    def of(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """One of each row's, int64 [B, LENGTH], or none."""
        which, silent = (compute.send(each) for each in (rng.integers(SAID, size=len(rows)), rng.random((len(rows), 1)) < NO_CAPTION))
        return torch.where(silent, self._nothing, self._tokens[compute.send(rows), which].long())


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
    latents = torch.load(LATENTS).to(compute.DEVICE)
    scenes = data.load_scenes("train")[: len(latents)]
    rng, rows_of = np.random.default_rng(together.rank()), by_count(scenes)
    captions = Captions(lambda row: caption(scenes[row], rng), len(scenes))
    size = compute.batch(on_cpu=20, on_cuda=512)

    def batch(rng: np.random.Generator, progress: float):
        rows = some(rows_of, _shares(progress), size, rng)
        return latents[compute.send(rows)], (captions.of(rows, rng),)

    diffusion.train(_Model(len(tokenizer.build())), batch, DENOISER, minutes, sheet=_sheet)


def load() -> tuple:
    """The averaged U-Net and text encoder of the latest checkpoint; also works while training runs."""
    model = diffusion.load(_Model(len(tokenizer.build())), DENOISER)
    return model.unet, model.text


def finish() -> None:
    """Writes the diffusers folder from the latest checkpoint."""
    pipeline.save(*load(), first_stage.load())
