"""A small network that says which floor or which colour of object each pixel of a scene picture shows. Where objects are it tells; what they are the judge does.

Like the judge it learns from all pairs of colour and shape, and from pictures spoilt in the ways that drawn ones are.
"""

import json
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

from scenes import compute, data, together
from scenes.export import session
from scenes.paths import JUDGE
from scenes.reading import fit, reconstruct, spoil
from scenes.storage import store
from scenes.words import COLOURS, FLOORS, SHAPES

from . import maps
from .paths import READER

CLASSES = [f"{floor} floor" for floor in FLOORS] + COLOURS
PICTURES, RECONSTRUCTED = 7_000, 1_000  # of each process: so many are also seen as the first stage gives them back


def _block(narrow: int, wide: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(narrow, wide, 3, stride, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU())


class Reader(nn.Module):
    """[B, 3, H, W] in [-1, 1] → logits [B, 12, H/2, W/2]: one for each square of 2×2 pixels and class."""

    def __init__(self):
        super().__init__()
        self.halved, self.quartered = _block(3, 24, 2), nn.Sequential(_block(24, 40, 2), _block(40, 40))
        self.deep = nn.Sequential(_block(40, 80, 2), _block(80, 80), _block(80, 80))
        self.up, self.fine = _block(120, 56), _block(80, 48)
        self.last = nn.Conv2d(48, len(CLASSES), 1)

    def forward(self, image):
        half = self.halved(image)
        quarter = self.quartered(half)
        eighth = self.deep(quarter)
        eighth = eighth + eighth.mean((2, 3), keepdim=True)  # the floor is one for all of the picture
        x = self.up(torch.cat([F.interpolate(eighth, scale_factor=2.0), quarter], 1))
        return self.last(self.fine(torch.cat([F.interpolate(x, scale_factor=2.0), half], 1)))


def targets(scenes: list[dict]) -> np.ndarray:
    """What the last pixel of each square of 2×2 shows, which lies next to its middle, [N, 64, 64]."""
    labels = np.stack([maps.label_map(scene)[1::2, 1::2] for scene in scenes]).astype(int)
    return np.where(labels < maps.OBJECTS, labels, maps.OBJECTS + (labels - maps.OBJECTS) // len(SHAPES))


def load() -> Reader:
    reader = Reader()
    reader.load_state_dict(torch.load(READER, map_location="cpu"))
    return reader.eval()


def train(minutes: float) -> None:
    together.spawn(_train, minutes)
    export()


def _train(minutes: float) -> None:
    torch.manual_seed(together.rank())
    rng = np.random.default_rng(together.rank())
    pictures, scenes = data.load("judge")
    own = rng.permutation(len(scenes))[:PICTURES]
    pictures, truth = pictures[own], torch.from_numpy(targets([scenes[i] for i in own])).long()
    pictures = np.concatenate([pictures, reconstruct(pictures[:RECONSTRUCTED])])
    truth = torch.cat([truth, truth[:RECONSTRUCTED]])
    torch.manual_seed(0)  # the same start in every process
    model = Reader().to(compute.DEVICE, memory_format=torch.channels_last)
    size = compute.batch(on_cpu=16, on_cuda=128)

    def loss() -> torch.Tensor:
        rows = rng.integers(len(pictures), size=size)
        x = spoil(compute.pictures(pictures[rows]), rng, shift=False).contiguous(memory_format=torch.channels_last)
        with compute.autocast():
            logits = model(x)
        return F.cross_entropy(logits.float(), truth[rows].to(compute.DEVICE), weight=_weights().to(compute.DEVICE))

    average = fit(model, loss, minutes, rate=3e-3)
    if together.rank() == 0:
        torch.save(average.state_dict(), READER)


def _weights() -> torch.Tensor:
    """Objects count more than the floor, which is most of every picture."""
    return torch.tensor([0.3] * maps.OBJECTS + [1.0] * len(COLOURS))


def export() -> None:
    """reader.onnx: image [B, 3, H, W] → classes [B, H/2, W/2]."""

    class Classes(nn.Module):
        def __init__(self, reader):
            super().__init__()
            self.reader = reader

        def forward(self, image):
            return self.reader(image).argmax(1)

    path, image, model = JUDGE / "reader.onnx", torch.rand(3, 3, 128, 128) * 2 - 1, Classes(load()).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (image,), str(path), input_names=["image"], output_names=["classes"], opset_version=17, dynamo=False,
                          dynamic_axes={"image": {0: "batch_size"}, "classes": {0: "batch_size"}})
        expected = model(image)
    onnx.save(store(onnx.load(path), as_int8=False), path)
    same = (session(path).run(None, {"image": image.numpy()})[0] == expected.numpy()).mean()
    pictures, scenes = data.load("real")
    truth = targets(scenes)
    with torch.no_grad():
        read = torch.cat([load()(compute.pictures(pictures[i : i + 50]).cpu()).argmax(1) for i in range(0, len(pictures), 50)]).numpy()
    objects = truth >= maps.OBJECTS
    print(json.dumps({"KiB": path.stat().st_size // 1024, "as in torch": round(float(same), 4), "real scenes, all squares": round(float((read == truth).mean()), 4),
                      "of objects": round(float((read == truth)[objects].mean()), 4)}))
