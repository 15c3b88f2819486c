"""Keeps the rows of a codebook in use while a VQ first stage is trained."""

import torch
from diffusers import VQModel

from . import together

PATIENCE = 50  # steps without being chosen after which a row moves


class Codebook:
    """Rows begin at latents of the first batch; one that no process's latents choose for a while moves to where latents are.

    Without this most rows of a codebook that is drawn at random are never the nearest, and never learn.
    """

    def __init__(self, model: VQModel):
        self._rows = model.quantize.embedding.weight
        self._chosen = torch.zeros(len(self._rows), device=self._rows.device)
        self._steps = 0

    @torch.no_grad()
    def begin(self, z: torch.Tensor) -> None:
        self._rows.copy_(self._some(z, len(self._rows)))

    @torch.no_grad()
    def tend(self, z: torch.Tensor, codes: torch.Tensor) -> None:
        """z [N, C, h, w] chose `codes` [N·h·w] in this step."""
        self._chosen += torch.bincount(codes, minlength=len(self._rows))
        self._steps += 1
        if self._steps % PATIENCE:
            return
        idle = together.sum(self._chosen) == 0
        self._rows[idle] = self._some(z, int(idle.sum()))
        self._chosen.zero_()

    def _some(self, z: torch.Tensor, count: int) -> torch.Tensor:
        """So many latents [count, C] at random, those of the first process everywhere."""
        points = z.detach().float().permute(0, 2, 3, 1).flatten(0, 2)
        picked = points[torch.randint(len(points), (count,), device=points.device)]
        # Not twice the same: two equal rows would share their latents for good.
        return together.of_first(picked + 0.01 * points.std() * torch.randn_like(picked))
