"""Semantic synthesis (the paper's §4.3): a small U-Net is shown a map of classes, as small as the latent, beside the latent."""

import numpy as np
import torch
from diffusers import UNet2DModel
from PIL import Image
from torch import nn

from scenes import compute, diffusion, first_stage, layout, together
from scenes.denoiser import begin_at_nothing
from scenes.paths import WORK
from scenes.sheets import grid, to_uint8

from . import examples, maps, sampling
from .paths import SEMANTIC

CHANNELS = 12  # of the map beside the latent
COUNT = 20_000  # scenes it is trained on


class Rescaler(nn.Module):
    """The paper's SpatialRescaler: classes int64 [B, H, W] → [B, 12, H/8, W/8]. How full a square of 8×8 pixels is of what, and in which quarter."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Embedding(len(maps.LABELS), 16)
        self.shrink = nn.AvgPool2d(4)
        self.quarters = nn.Conv2d(16, CHANNELS, 2, 2)

    def forward(self, semantic_map):
        return self.quarters(self.shrink(self.colours(semantic_map).permute(0, 3, 1, 2)))


def unet() -> UNet2DModel:
    """No attention: the map says what is where."""
    net = UNet2DModel(sample_size=16, in_channels=4 + CHANNELS, out_channels=4, block_out_channels=(48, 80, 96), layers_per_block=1, norm_num_groups=16,
                      down_block_types=("DownBlock2D",) * 3, up_block_types=("UpBlock2D",) * 3, add_attention=False)
    begin_at_nothing(net)
    return net.to(memory_format=compute.FORMAT)


class Model(nn.Module):
    """v_θ(z_t, t, classes [B, 128, 128])."""

    def __init__(self):
        super().__init__()
        self.unet, self.rescaler = unet(), Rescaler()

    def forward(self, z, t, semantic_map):
        return self.unet(torch.cat([z, self.rescaler(semantic_map.long())], 1), t).sample


def train(minutes: float) -> None:
    together.spawn(_train, minutes)


def _train(minutes: float) -> None:
    torch.manual_seed(0)
    latents, scenes = examples.load()
    # Both sets' scenes, each process its own: all pairs of colour and shape are in the second alone.
    rows = np.arange(len(scenes))[-COUNT:][together.rank() :: together.count()]
    drawn = [maps.label_map(scenes[row]) for row in rows]
    size = compute.batch(on_cpu=24, on_cuda=512)

    def batch(rng: np.random.Generator, progress: float):
        taken = rng.integers(len(rows), size=size)
        return latents[rows[taken]], (torch.from_numpy(np.stack([maps.roughened(drawn[i], rng) for i in taken])),)

    diffusion.train(Model(), batch, SEMANTIC, minutes, sheet=_sheet, rate=1.5e-3, decay=0.998, flat=0.4, sheet_minutes=3)


def draw(model: Model, classes: np.ndarray, seed: int = 0) -> torch.Tensor:
    told = torch.from_numpy(classes).to(compute.DEVICE)
    height, width = classes.shape[1] // 8, classes.shape[2] // 8
    return sampling.latents(len(classes), lambda x, t: model(x, t, told), seed, height=height, width=width)


def _sheet(model: Model) -> None:
    """Maps, a real scene's and the same roughened, with what is drawn of them underneath."""
    rng = np.random.default_rng(0)
    exact = [maps.label_map(layout.draw(rng, True)) for _ in range(8)]
    asked = np.stack(exact + [maps.roughened(each, rng) for each in exact])
    drawn = to_uint8(sampling.decode(first_stage.load().to(compute.DEVICE), draw(model, asked)))
    painted = np.array(maps.colours(), np.uint8)[asked]
    Image.fromarray(grid(np.concatenate([painted[:8], drawn[:8], painted[8:], drawn[8:]]), 8)).save(WORK / "semantic.png")
