"""A training budget in minutes instead of steps, so that one recipe serves two CPU cores and a GPU."""

import math
import time

import torch

# On a CPU the process's own time: what other work takes from a shared core does not shorten a training, nor does a pause.
_clock = time.monotonic if torch.cuda.is_available() else time.process_time


class Budget:
    """Counts working time across resumed runs and turns it into a learning-rate factor.

    Warm-up rises linearly over `warm` of the time, then the rate stays flat until `flat`, then falls as a cosine to 0.
    """

    def __init__(self, minutes: float, spent: float = 0.0, warm: float = 0.02, flat: float = 0.5):
        self.seconds, self.warm, self.flat = minutes * 60, warm, flat
        self._start = _clock() - spent

    @property
    def spent(self) -> float:
        """Seconds used so far."""
        return _clock() - self._start

    @property
    def progress(self) -> float:
        return min(self.spent / self.seconds, 1.0)

    def factor(self) -> float:
        at = self.progress
        if at < self.warm:
            return max(at / self.warm, 0.01)
        if at < self.flat:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (at - self.flat) / (1 - self.flat)))
