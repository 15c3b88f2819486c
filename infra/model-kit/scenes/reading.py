"""How networks that read pictures are trained: the judge, and the reader of tasks."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from . import compute, first_stage, together
from .average import Average
from .budget import Budget
from .sheets import to_uint8


def spoil(x: torch.Tensor, rng: np.random.Generator, shift: bool = True) -> torch.Tensor:
    """Small shifts, blur, noise and gain, drawn once per batch; each picture still comes with many."""
    dx, dy = rng.integers(-3, 4, size=2) if shift else (0, 0)
    x = F.pad(x, (3, 3, 3, 3), mode="replicate")[..., 3 + dy : 131 + dy, 3 + dx : 131 + dx]
    if rng.random() < 0.4:
        x = torch.lerp(x, F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1), float(rng.uniform(0.3, 1)))
    return x * float(rng.uniform(0.95, 1.05)) + float(rng.uniform(0, 0.05)) * torch.randn_like(x)


@torch.no_grad()
def reconstruct(pictures: np.ndarray) -> np.ndarray:
    """As the shipped first stage gives them back."""
    vae = first_stage.load().to(compute.DEVICE)
    parts = []
    for start in range(0, len(pictures), 50):
        with compute.autocast():
            parts.append(to_uint8(vae(compute.pictures(pictures[start : start + 50])).sample))
    return np.concatenate(parts)


def fit(model: nn.Module, loss: Callable[[], torch.Tensor], minutes: float, rate: float) -> nn.Module:
    """Runs in each of together.py's processes until the budget is spent. Returns the average of the weights.

    loss    of a batch that it draws
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    average, budget, step = Average(model, 0.99), Budget(minutes, warm=0.03, flat=0.35), 0
    bar = tqdm(total=100, unit="%", disable=together.rank() > 0)
    while together.agree(budget.progress) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * budget.factor()
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        together.average_gradients(model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        average.update(model)
        step += 1
        if step % 20 == 0:
            bar.update(int(100 * budget.progress) - bar.n)
            bar.set_postfix(step=step, loss=f"{value.item():.3f}")
    bar.close()
    return average.module
