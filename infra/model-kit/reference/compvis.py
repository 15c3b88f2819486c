"""The paper's pipelines that diffusers does not have, with diffusers' networks and schedulers.

They follow the authors' code, CompVis/latent-diffusion at a506df5 and CompVis/taming-transformers at 3ba01b2; lines below are of those commits. Where
diffusers' schedulers scale what the network sees, the latents are scaled and the condition, which is no noise, is not.
"""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional


def walk(unet, scheduler, start, *, steps, eta, generator, concat=(), context=None, unconditional=None, guidance=1.0):
    """ldm/models/diffusion/ddim.py:113–203 with any scheduler; what the U-Net sees is DiffusionWrapper's, ddpm.py:1402–1410: `concat` or `crossattn`."""
    scheduler.set_timesteps(steps)
    x = start * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        shown = torch.cat([scheduler.scale_model_input(x, t), *concat], dim=1)
        if context is None:
            e = unet(shown, t).sample
        elif unconditional is None or guidance == 1:
            e = unet(shown, t, encoder_hidden_states=context).sample
        else:
            both = unet(torch.cat([shown] * 2), t, encoder_hidden_states=torch.cat([unconditional, context])).sample
            without, e = both.chunk(2)
            e = without + guidance * (e - without)
        accepted = scheduler.step.__code__.co_varnames
        extra = {key: value for key, value in (("eta", eta), ("generator", generator)) if key in accepted}
        x = scheduler.step(e, t, x, **extra).prev_sample
    return x


def decode(vqvae, x):
    """ddpm.py:706–772, decode_first_stage: scaled back, then quantised."""
    return vqvae.decode(x / vqvae.config.scaling_factor).sample


def inpaint(unet, vqvae, scheduler, image, mask, generator, **settings):
    """scripts/inpaint.py:11–29 and 70–95. image [1, 3, H, W] in [0, 1], mask [1, 1, H, W]. The picture is in [0, 1]."""
    mask = (mask >= 0.5).float()
    masked = (1 - mask) * image
    c = vqvae.encode(masked * 2 - 1).latents  # As the first stage gives it: never scaled.
    cc = functional.interpolate(mask * 2 - 1, size=c.shape[-2:])
    x = walk(unet, scheduler, torch.randn(c.shape, generator=generator), generator=generator, concat=(c, cc), **settings)
    predicted = ((decode(vqvae, x) + 1) / 2).clamp(0, 1)
    return x, (1 - mask) * image + mask * predicted


class ClassEmbedder(nn.Module):
    """ldm/modules/encoders/modules.py:21–33. Classes to a context of one token. configs/latent-diffusion/cin256-v2.yaml: the last one is "no class"."""

    def __init__(self, embed_dim: int, n_classes: int):
        super().__init__()
        self.config = SimpleNamespace(n_classes=n_classes, unconditional_class=n_classes - 1)
        self.embedding = nn.Embedding(n_classes, embed_dim)

    def forward(self, classes):
        return self.embedding(classes[:, None])


class SpatialRescaler(nn.Module):
    """ldm/modules/encoders/modules.py:106–136, over a map of one channel a class (taming/data/sflckr.py:81 makes it one-hot)."""

    def __init__(self, n_stages: int, in_channels: int, out_channels: int | None):
        super().__init__()
        self.config = SimpleNamespace(n_classes=in_channels, n_stages=n_stages)
        self.channel_mapper = nn.Conv2d(in_channels, out_channels, 1, bias=False) if out_channels else None

    def forward(self, x):
        for _ in range(self.config.n_stages):
            x = functional.interpolate(x, scale_factor=0.5, mode="bilinear")
        return self.channel_mapper(x) if self.channel_mapper else x


class LayoutTokens:
    """taming/data/conditional_builder/objects_bbox.py:20–27, objects_center_points.py:41–90 and 132–170, utils.py:44–68. Without the shuffle of training."""

    def __init__(self, no_object_classes: int, no_max_objects: int, no_tokens: int, encode_crop: bool):
        self.config = SimpleNamespace(
            no_object_classes=no_object_classes, no_max_objects=no_max_objects, no_tokens=no_tokens, encode_crop=encode_crop
        )
        self.sections = int(no_tokens**0.5)

    def position(self, x: float, y: float) -> int:
        return int(round(y * (self.sections - 1))) * self.sections + int(round(x * (self.sections - 1)))

    def __call__(self, layout: list[dict]) -> torch.Tensor:
        config = self.config
        none = config.no_tokens - 1
        tokens = []
        for each in layout:
            x0, y0, x1, y1 = each["box"]
            # Annotations have a width and a height.
            w, h = min(x1 - x0, 1 - x0), min(y1 - y0, 1 - y0)
            tokens += [each["label"], self.position(x0, y0), self.position(x0 + w, y0 + h)]
        tokens += [none] * (3 * config.no_max_objects - len(tokens))
        if config.encode_crop:
            tokens += [self.position(0, 0), self.position(1, 1)]
        return torch.tensor([tokens])
