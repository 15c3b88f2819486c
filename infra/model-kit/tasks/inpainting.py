"""Inpainting (the paper's §4.5) with text: the text model's U-Net is shown the mask and the masked picture beside the latent, 4 + 1 + 4 channels.

The new channels begin at nothing, so that it begins as the text model, whose text encoder it keeps as it is.
"""

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from scenes import compute, data, denoiser, diffusion, first_stage, together, tokenizer, train as text_training
from scenes.captions import caption
from scenes.paths import WORK
from scenes.sheets import save_grid

from . import examples, masks, sampling
from .paths import INPAINTING

PAIRS = 6_000  # masked pictures of each process, made once: encoding them anew each time would take half as long as the training
LOCAL = 0.6  # share of captions that tell of what is under the mask alone, as people ask for it


class Model(nn.Module):
    """v_θ(z_t, t, mask [B, 1, 16, 16], masked latent [B, 4, 16, 16], tokens [B, 32])."""

    def __init__(self):
        super().__init__()
        self.unet = denoiser.unet(channels=9)
        self.text = denoiser.text_encoder(len(tokenizer.build())).requires_grad_(False)

    def forward(self, z, t, mask, rest, tokens):
        return self.unet(torch.cat([z, mask, rest], 1), t, self.text(tokens)[0]).sample


@torch.no_grad()
def begin(model: Model) -> None:
    """From the text model's weights."""
    unet, text = text_training.load()
    weights = unet.state_dict()
    wide = torch.zeros_like(model.unet.conv_in.weight)
    wide[:, :4] = weights["conv_in.weight"]
    model.unet.load_state_dict(weights | {"conv_in.weight": wide})
    model.text.load_state_dict(text.state_dict())


def latents_of(vae, pictures: torch.Tensor) -> torch.Tensor:
    with compute.autocast():
        return (first_stage.encode(vae, pictures).float() * vae.config.scaling_factor).cpu()


@torch.no_grad()
def _pairs(count: int) -> tuple:
    """Rows, masks uint8 [count, 128, 128] and latents of what they leave [count, 4, 16, 16], other ones in each process."""
    pictures, scenes = data.load(examples.SETS[0])
    rng = np.random.default_rng(together.rank())
    rows = rng.choice(len(scenes), count, replace=False)
    drawn = np.stack([masks.draw(scenes[row], rng) for row in rows])
    vae, parts = first_stage.load().to(compute.DEVICE), []
    for start in tqdm(range(0, count, 50), desc="masked pictures", disable=together.rank() > 0):
        part = slice(start, start + 50)
        shown = compute.pictures(pictures[rows[part]]) * (1 - torch.from_numpy(drawn[part]).to(compute.DEVICE)[:, None])
        parts.append(latents_of(vae, shown))
    return rows, drawn, torch.cat(parts)


def train(minutes: float) -> None:
    together.spawn(_train, minutes)


def _train(minutes: float) -> None:
    torch.manual_seed(0)
    latents, scenes = examples.load()
    rows, drawn, rest = _pairs(compute.batch(on_cpu=PAIRS, on_cuda=4 * PAIRS))
    small = torch.from_numpy(np.stack([masks.shrunk(mask) for mask in drawn]))[:, None].float()
    latents, rest, small = (part.to(compute.DEVICE) for part in (latents[rows], rest, small))
    size = compute.batch(on_cpu=20, on_cuda=512)
    rng = np.random.default_rng(together.rank())

    def say(pair: int) -> str:
        scene, mask = scenes[rows[pair]], drawn[pair]
        if mask.all() or rng.random() > LOCAL:
            return caption(scene, rng)
        under = masks.hidden(scene, mask)
        return caption({**scene, "objects": under}, rng) if under else f"a {scene['floor']} floor"

    captions = text_training.Captions(say, len(rows))

    def batch(rng: np.random.Generator, progress: float):
        taken = rng.integers(len(rows), size=size)
        at = compute.send(taken)
        return latents[at], (small[at], rest[at], captions.of(taken, rng))

    model = Model()
    if not INPAINTING.exists():
        begin(model)
    diffusion.train(model, batch, INPAINTING, minutes, sheet=_sheet, rate=5e-4, decay=0.998, flat=0.4, sheet_minutes=4)


def _sheet(model: Model) -> None:
    """Rows: real pictures, the same masked, and what is drawn for a caption of another object under the mask."""
    pictures, scenes = data.load("real")
    rng, count = np.random.default_rng(1), 16
    drawn = np.stack([masks.around(scene["objects"][0], rng) if i % 2 else masks.draw(scene, rng) for i, scene in enumerate(scenes[:count])])
    vae, words = first_stage.load().to(compute.DEVICE), tokenizer.build()
    told = [examples.KINDS[(7 * i + 3) % 32] for i in range(count)]
    said, nothing = (tokenizer.encode(words, prompts).to(compute.DEVICE) for prompts in ([f"a {kind}" for kind in told], [""] * count))
    mask = torch.from_numpy(drawn).to(compute.DEVICE)[:, None]
    shown = compute.pictures(pictures[:count])
    masked = shown * (1 - mask)
    rest, small = latents_of(vae, masked).to(compute.DEVICE), mask[..., ::8, ::8].float()
    net = lambda x, t, tell: model(x, t, small, rest, said if tell else nothing)  # noqa: E731
    made = sampling.decode(vae, sampling.latents(count, sampling.guided(net, 3.0)))
    save_grid(torch.cat([shown, masked, made]), count, WORK / "inpainting.png")
    (WORK / "inpainting.txt").write_text("\n".join(told) + "\n")
