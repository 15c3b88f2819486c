"""The KL first stage: 128×128 pixels to 16×16×4 latents and back (f = 8), section 3.1 of the paper."""

import torch
from diffusers import AutoencoderKL
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn
from tqdm import tqdm

from . import compute, data
from .paths import FIRST_STAGE, LATENTS


def build() -> AutoencoderKL:
    model = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=128,
        block_out_channels=(16, 32, 64, 128), layers_per_block=1, norm_num_groups=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        mid_block_add_attention=False,
    )
    _begin_as_a_blur(model)
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def _begin_as_a_blur(model: AutoencoderKL) -> None:
    """Starting weights with which the network shrinks and enlarges a picture: half the steps to a given loss.

    Residual branches start at nothing, resampling at a mean or a copy, every other map orthogonal, and the latents
    nearly free of noise (σ = e⁻³; from σ = 1 the first minutes go into learning to drown it out).
    """
    for part in model.modules():
        if isinstance(part, ResnetBlock2D):
            part.conv2.weight.zero_()
            part.conv2.bias.zero_()
            if part.conv_shortcut is not None:
                nn.init.orthogonal_(part.conv_shortcut.weight)
                part.conv_shortcut.bias.zero_()
        elif isinstance(part, (Downsample2D, Upsample2D)):
            copy = torch.eye(part.conv.weight.shape[0])
            nn.init.normal_(part.conv.weight, std=0.01)
            if isinstance(part, Downsample2D):
                part.conv.weight.add_(copy[:, :, None, None] / 9)
            else:
                part.conv.weight[:, :, 1, 1] += copy
            part.conv.bias.zero_()
    for end in (model.encoder.conv_in, model.encoder.conv_out, model.decoder.conv_in, model.decoder.conv_out, model.post_quant_conv):
        nn.init.orthogonal_(end.weight)
        end.bias.zero_()
    nn.init.orthogonal_(model.quant_conv.weight[:4])
    model.quant_conv.weight[4:] = 0
    model.quant_conv.bias.zero_()
    model.quant_conv.bias[4:] = -6.0


def load() -> AutoencoderKL:
    """The trained first stage, in evaluation mode, with `scaling_factor` set."""
    saved = torch.load(FIRST_STAGE, map_location="cpu")
    model = build()
    model.load_state_dict(saved["average"])
    model.register_to_config(scaling_factor=saved["scaling"])
    return model.eval().requires_grad_(False)


@torch.no_grad()
def encode_all() -> None:
    """Latents of the whole training set, scaled to unit variance, bfloat16 [N, 4, 16, 16], in LATENTS."""
    pictures, _ = data.load("train")
    model = load().to(compute.DEVICE)
    parts = []
    for start in tqdm(range(0, len(pictures), 64), unit="batch"):
        with compute.autocast():
            mean = model.encode(compute.pictures(pictures[start : start + 64])).latent_dist.mode()
        parts.append((mean.float() * model.config.scaling_factor).to(torch.bfloat16).cpu())
    torch.save(torch.cat(parts), LATENTS)
