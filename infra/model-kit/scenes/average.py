"""Exponential moving average of a module's parameters and buffers."""

import copy

import torch


class Average:
    def __init__(self, module: torch.nn.Module, decay: float):
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, module: torch.nn.Module) -> None:
        # The warm-up keeps the random start out of the mean.
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        mine, theirs = list(self.module.parameters()), list(module.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for kept, new in zip(self.module.buffers(), module.buffers()):
            kept.copy_(new)
