"""Super-resolution ×4, 32×32 to 128×128 pixels, three ways (the paper's section 4.4 and table 5): U-Nets of like size, the same time for each.

    ldm         diffusion in latents of VQ f = 4, beside which it is shown the small picture (LDM-SR)
    pixels      diffusion in pixels, shown the small picture enlarged (SR3: Saharia et al., 2021)
    regression  the same network without noise, once: the mean of all that it could be
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scenes import compute, data, diffusion, first_stage, together
from scenes.first_stage_training import corner
from scenes.paths import KIT, WORK
from scenes.sheets import grid, save_grid
from torch import nn

from . import engine, examples, measures, results, sampling, unets

FACTOR, SIDE, CROP = 4, 128, 64
CROPS = 0.75  # share of the training on crops, a quarter of the cost; none of the networks attends, so that they do not care
STAGE = "vq-f4"
TASK = {"super-resolution": {"factor": FACTOR}}
PICTURE, SHOWN = KIT / "plots" / "super-resolution.webp", 8


def _enlarge(low: torch.Tensor) -> torch.Tensor:
    return F.interpolate(low, scale_factor=FACTOR, mode="bilinear", align_corners=False)


class Latents(nn.Module):
    """v_θ(z_t, t, low): z [B, 3, h, w], low [B, 3, h, w]."""

    batch = 32  # crops, per process

    def __init__(self):
        super().__init__()
        self.unet = unets.unet(SIDE // FACTOR, 6, 3, (48, 64, 96))

    def forward(self, z, t, low):
        return self.unet(torch.cat([z, low], 1), t).sample


class Pixels(nn.Module):
    """v_θ(x_t, t, low): x [B, 3, 4h, 4w], low [B, 3, h, w]."""

    batch = 8

    def __init__(self):
        super().__init__()
        self.unet = unets.unet(SIDE, 6, 3, (16, 24, 32, 64, 96))

    def forward(self, x, t, low):
        return self.unet(torch.cat([x, _enlarge(low)], 1), t).sample


class Regression(nn.Module):
    """The picture, of low [B, 3, h, w]: what the network adds to the enlarged one."""

    batch = 8

    def __init__(self):
        super().__init__()
        self.unet = unets.unet(SIDE, 3, 3, (16, 24, 32, 64, 96))

    def forward(self, low):
        large = _enlarge(low)
        never = 0 * low[:, 0, 0, 0]  # of the input, or the graph would hold the batch that it was traced with
        return large + self.unet(large, never).sample


WAYS = {"ldm": Latents, "pixels": Pixels, "regression": Regression}


def checkpoint(way: str):
    return WORK / f"super-resolution-{way}.pt"


def load(way: str) -> nn.Module:
    return diffusion.load(WAYS[way](), checkpoint(way))


def shrink(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] to [N, H/4, W/4, 3]: means of 4×4 pixels."""
    n, h, w, _ = pictures.shape
    return pictures.reshape(n, h // FACTOR, FACTOR, w // FACTOR, FACTOR, 3).mean((2, 4)).round().astype(np.uint8)


def train(way: str, minutes: float) -> None:
    if way == "ldm":
        examples.encode(STAGE)
    together.spawn(_train, way, minutes)
    _sheet(way, load(way).to(compute.DEVICE))


def _train(way: str, minutes: float) -> None:
    pictures, scenes = examples.pictures(), data.load_scenes("train")
    latents = examples.latents(STAGE) if way == "ldm" else None
    torch.manual_seed(0)
    model = WAYS[way]()
    crops = compute.batch(on_cpu=model.batch, on_cuda=256)

    def batch(rng: np.random.Generator, progress: float):
        side, count = (CROP, crops) if progress < CROPS else (SIDE, crops // 4)
        rows = rng.integers(len(pictures), size=count)
        corners = [corner(scenes[row], rng, FACTOR) if side < SIDE else (0, 0) for row in rows]
        cut = np.stack([pictures[row, y : y + side, x : x + side] for row, (x, y) in zip(rows, corners)])
        low = compute.pictures(shrink(cut))
        if latents is None:
            return compute.pictures(cut), (low,)
        at = [(x // FACTOR, y // FACTOR) for x, y in corners]
        return torch.stack([latents[row, :, y : y + side // FACTOR, x : x + side // FACTOR] for row, (x, y) in zip(rows, at)]), (low,)

    diffusion.train(model, batch, checkpoint(way), minutes, sheet=lambda mean: _sheet(way, mean), decay=0.995,
                    objective=_mean_squares if way == "regression" else diffusion.velocity)


def _mean_squares(model, truth, t, told):
    with compute.autocast():
        drawn = model(*told)
    return (drawn.float() - truth).square().mean()


@torch.no_grad()
def draw(way: str, model: nn.Module, low: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, 4h, 4w] of low [N, 3, h, w], both in [-1, 1]."""
    if way == "regression":
        return model(low)
    if way == "pixels":
        n, c, h, w = low.shape
        return sampling.walk(lambda x, t: model(x, t, low), (n, c, FACTOR * h, FACTOR * w))
    stage = first_stage.load(STAGE).to(compute.DEVICE)
    return first_stage.decode(stage, sampling.walk(lambda z, t: model(z, t, low), tuple(low.shape)))


def _sheet(way: str, model: nn.Module) -> None:
    """The small pictures, what is made of them, and the truth."""
    pictures = data.load("real")[0][:8]
    low = compute.pictures(shrink(pictures))
    shown = torch.cat([F.interpolate(low, scale_factor=FACTOR), draw(way, model, low), compute.pictures(pictures)])
    save_grid(shown, 8, WORK / f"super-resolution-{way}.png")


def steps_of(way: str, steps: int) -> int:
    return 1 if way == "regression" else steps


def unseen(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that nothing was trained on, and the small ones that they are to be made of."""
    pictures = data.load("real")[0][:count]
    return pictures, shrink(pictures)


def measure(count: int = 250, steps: int = 25) -> None:
    """Enlarges unseen pictures through the server's engine."""
    from . import export  # which knows all that can be exported

    (truth, low), judge = unseen(count), measures.Judge()
    real = judge.features(data.load("real")[0][count:])
    found = {"pictures": count, "real": len(real), "steps": steps, "floor": measures.frechet(judge.features(truth), real), "ways": {}}

    def add(way: str, drawn: np.ndarray, **more) -> None:
        found["ways"][way] = more | {
            "frechet": measures.frechet(judge.features(drawn), real), "psnr": measures.psnr(drawn, truth), "ssim": measures.ssim(drawn, truth),
            "agrees": measures.psnr(shrink(drawn), low)}  # shrunk again, with what it was made of
        rows.append(drawn)

    rows = [low.repeat(FACTOR, 1).repeat(FACTOR, 2)]
    add("bicubic", np.stack([np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for each in low]))
    for way in WAYS:
        if checkpoint(way).exists():
            folder = export.upscaler(way)
            drawn, _ = engine.draw(folder.name, count, steps_of(way, steps), folder=folder.parent, task=TASK, images=low)
            add(way, drawn, parameters=unets.size(load(way)), **diffusion.effort(checkpoint(way)))
    sheet = grid(np.stack([*rows, truth])[:, :SHOWN].reshape(-1, SIDE, SIDE, 3), SHOWN)
    Image.fromarray(sheet).save(PICTURE, quality=90, method=6)
    results.save("super-resolution", found)
