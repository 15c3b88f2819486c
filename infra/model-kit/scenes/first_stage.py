"""First stages, section 3.1 of the paper: 128×128 pixels to latents f times smaller along each side, and back.

KL ones draw latents that a weak penalty keeps near a normal distribution; VQ ones let the decoder round them to a codebook. A denoiser learns what
the encoder gives: the mean, or what is not rounded yet.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, VQModel
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn
from tqdm import tqdm

from . import compute, data
from .paths import FIRST_STAGE, LATENTS


@dataclass(frozen=True)
class Kind:
    widths: tuple  # channels at each resolution, from the picture's down
    channels: int  # of the latents
    codes: int = 0  # rows of the codebook; 0: KL

    @property
    def factor(self) -> int:
        return 2 ** (len(self.widths) - 1)


SHIPPED = "kl-f8"  # the one that the demo models share
# Channels as in table 8 of the paper.
KINDS = {
    "kl-f2": Kind((16, 32), 2),
    "vq-f4": Kind((16, 32, 64), 3, 2048),
    "kl-f4": Kind((16, 32, 64), 3),
    SHIPPED: Kind((16, 32, 64, 128), 4),
    "kl-f16": Kind((16, 32, 64, 128, 128), 16),
}


def weights(name: str = SHIPPED) -> Path:
    return FIRST_STAGE if name == SHIPPED else FIRST_STAGE.with_stem(f"first-stage-{name}")


def latents(name: str = SHIPPED, part: str = "train") -> Path:
    """Where the latents of a data set are kept."""
    stem = LATENTS.stem if name == SHIPPED else f"{LATENTS.stem}-{name}"
    return LATENTS.with_stem(stem if part == "train" else f"{stem}-{part}")


def build(name: str = SHIPPED) -> AutoencoderKL | VQModel:
    kind = KINDS[name]
    levels = len(kind.widths)
    common = dict(
        in_channels=3, out_channels=3, latent_channels=kind.channels, sample_size=128,
        block_out_channels=kind.widths, layers_per_block=1, norm_num_groups=1,
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        mid_block_add_attention=False,
    )
    # VQ latents have unit variance of their own (`unit_variance`): diffusers' super-resolution scales nothing.
    model = VQModel(**common, num_vq_embeddings=kind.codes, scaling_factor=1.0) if kind.codes else AutoencoderKL(**common)
    _begin_as_a_blur(model)
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def _begin_as_a_blur(model: AutoencoderKL | VQModel) -> None:
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
    channels = model.config.latent_channels
    nn.init.orthogonal_(model.quant_conv.weight[:channels])
    model.quant_conv.bias.zero_()
    model.quant_conv.weight[channels:] = 0  # log σ² of KL latents; VQ ones have none
    model.quant_conv.bias[channels:] = -6.0


def encode(model: AutoencoderKL | VQModel, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, H, W] to what a denoiser learns, before it is scaled: [N, C, H/f, W/f]."""
    coded = model.encode(pictures)
    return coded.latents if isinstance(model, VQModel) else coded.latent_dist.mode()


def round_to_codes(model: VQModel, z: torch.Tensor) -> tuple:
    """The nearest rows of the codebook [N, C, h, w] with z's gradient, the loss that draws both together, and the rows' numbers [N·h·w]."""
    with torch.autocast(z.device.type, enabled=False):  # bfloat16 confuses neighbours
        rounded, apart, (_, _, codes) = model.quantize(z.float())
    return rounded, apart, codes


def decode(model: AutoencoderKL | VQModel, z: torch.Tensor) -> torch.Tensor:
    if isinstance(model, VQModel):
        return model.decode(round_to_codes(model, z)[0], force_not_quantize=True).sample
    return model.decode(z).sample


@torch.no_grad()
def unit_variance(model: VQModel, mean: torch.Tensor, spread: float) -> None:
    """Makes the latents (z − mean [C]) / spread, with every picture as before: the layers on both sides and the codebook take it up."""
    model.post_quant_conv.bias += model.post_quant_conv.weight[:, :, 0, 0] @ mean
    model.post_quant_conv.weight *= spread
    model.quant_conv.bias.sub_(mean).div_(spread)
    model.quant_conv.weight /= spread
    model.quantize.embedding.weight.sub_(mean).div_(spread)


def load(name: str = SHIPPED) -> AutoencoderKL | VQModel:
    """A trained first stage, in evaluation mode, with `scaling_factor` set."""
    saved = torch.load(weights(name), map_location="cpu")
    model = build(name)
    model.load_state_dict(saved["average"])
    model.register_to_config(scaling_factor=saved["scaling"])
    return model.eval().requires_grad_(False)


@torch.no_grad()
def encode_all(name: str = SHIPPED, part: str = "train") -> None:
    """Latents of a whole data set, scaled to unit variance, bfloat16 [N, C, 128/f, 128/f], in `latents(name, part)`."""
    pictures, _ = data.load(part)
    model = load(name).to(compute.DEVICE)
    parts, size = [], compute.batch(on_cpu=64, on_cuda=512)
    for start in tqdm(range(0, len(pictures), size), unit="batch"):
        with compute.autocast():
            mean = encode(model, compute.pictures(pictures[start : start + size]))
        parts.append((mean.float() * model.config.scaling_factor).to(torch.bfloat16).cpu())
    torch.save(torch.cat(parts), latents(name, part))
