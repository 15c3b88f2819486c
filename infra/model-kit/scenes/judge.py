"""A small classifier that reads a scene picture: how many objects, which colours, shapes, size, material, floor.

It is trained on every colour–shape pair equally often, also those withheld from the denoiser: a judge that shared the
gap would mark correct pictures of them wrong. Blur, noise, shifts and first-stage reconstructions keep it from
depending on pixel detail that drawn pictures lack.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import compute, data, together
from .paths import JUDGE_WEIGHTS, WORK
from .reading import fit, reconstruct, spoil
from .words import COLOURS, FLOORS, MATERIALS, SHAPES, SIZES

# Output name → its labels. `count` and the last five are softmax logits; colour to material hold for single objects only.
HEADS = {"count": ["1", "2", "3"], "present_colour": COLOURS, "present_shape": SHAPES, "colour": COLOURS, "shape": SHAPES,
         "size": SIZES, "material": MATERIALS, "floor": FLOORS}
MULTI = ("present_colour", "present_shape")  # sigmoid logits
SINGLE = ("colour", "shape", "size", "material")
RECONSTRUCTED = 2_000  # pictures also seen as the first stage gives them back


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                                  nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(x + self.body(x))


def _down(narrow: int, wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(narrow, wide, 3, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU())


class Judge(nn.Module):
    """[B, 3, 128, 128] in [-1, 1] → one logit tensor [B, n] per head, in the order of HEADS."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(_down(3, 24), _down(24, 32), _Residual(32), _down(32, 64), _Residual(64), _down(64, 128), _Residual(128))
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(labels)) for name, labels in HEADS.items()})

    def forward(self, image):
        x = self.body(image)  # [B, 128, 8, 8]
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)  # the mean can count, the maximum can find
        return tuple(head(x) for head in self.heads.values())


def labels(scenes: list[dict]) -> dict:
    """Targets per head: class numbers [N], or 0/1 [N, n] for the multi-label heads; −1 where a head does not apply."""
    alone = [scene["objects"][0] if len(scene["objects"]) == 1 else None for scene in scenes]
    target = {"count": torch.tensor([len(scene["objects"]) - 1 for scene in scenes]),
              "floor": torch.tensor([FLOORS.index(scene["floor"]) for scene in scenes])}
    for name in SINGLE:
        target[name] = torch.tensor([HEADS[name].index(thing[name]) if thing else -1 for thing in alone])
    for name in MULTI:
        key = name.removeprefix("present_")
        target[name] = torch.tensor([[float(any(thing[key] == label for thing in scene["objects"])) for label in HEADS[name]] for scene in scenes])
    return target


def _loss(outputs: tuple, target: dict, rows) -> torch.Tensor:
    loss = 0
    for name, logits in zip(HEADS, outputs):
        truth = target[name][rows].to(logits.device)
        if name in MULTI:
            loss = loss + 3 * F.binary_cross_entropy_with_logits(logits.float(), truth)
        elif (truth >= 0).any():
            loss = loss + F.cross_entropy(logits.float(), truth, ignore_index=-1)
    return loss


def accuracy(judge: Judge, pictures: np.ndarray, scenes: list[dict]) -> dict:
    """Share right per head over the pictures where it applies; multi-label heads must have every bit right."""
    outputs = judged(judge, compute.pictures(pictures))
    target, result = labels(scenes), {}
    for name in HEADS:
        if name in MULTI:
            right = ((outputs[name] > 0) == (target[name] > 0)).all(1)
        else:
            right = (outputs[name].argmax(1) == target[name])[target[name] >= 0]
        result[name] = right.float().mean().item()
    return result


@torch.no_grad()
def judged(judge: Judge, pictures: torch.Tensor) -> dict:
    """Logits per head, [N, n], on the CPU."""
    parts = [judge(pictures[i : i + 100].to(compute.DEVICE)) for i in range(0, len(pictures), 100)]
    return {name: torch.cat([part[k] for part in parts]).float().cpu() for k, name in enumerate(HEADS)}


def load() -> Judge:
    judge = Judge()
    judge.load_state_dict(torch.load(JUDGE_WEIGHTS, map_location="cpu"))
    return judge.eval().to(compute.DEVICE)


def train(minutes: float) -> None:
    together.spawn(_train, minutes)
    pictures, scenes = data.load("real")
    print(json.dumps(accuracy(load(), pictures, scenes), indent=2))


def _train(minutes: float) -> None:
    torch.manual_seed(together.rank())
    rng = np.random.default_rng([int(JUDGE_WEIGHTS.exists()), together.rank()])
    pictures, scenes = data.load("judge")
    share = np.arange(together.rank(), RECONSTRUCTED, together.count())  # each process reconstructs its own part
    pictures = np.concatenate([pictures, reconstruct(pictures[share])])
    scenes = scenes + [scenes[i] for i in share]
    target = labels(scenes)
    torch.manual_seed(0)  # the same start in every process
    model = Judge().to(compute.DEVICE, memory_format=torch.channels_last)
    if JUDGE_WEIGHTS.exists():  # a second run goes on from the first
        model.load_state_dict(torch.load(JUDGE_WEIGHTS, map_location=compute.DEVICE))
    size = compute.batch(on_cpu=32, on_cuda=128)

    def loss() -> torch.Tensor:
        rows = rng.integers(len(pictures), size=size)
        x = spoil(compute.pictures(pictures[rows]), rng).contiguous(memory_format=torch.channels_last)
        with compute.autocast():
            outputs = model(x)
        return _loss(outputs, target, rows)

    average = fit(model, loss, minutes, rate=2e-3)
    if together.rank() == 0:
        WORK.mkdir(parents=True, exist_ok=True)
        torch.save(average.state_dict(), JUDGE_WEIGHTS)
