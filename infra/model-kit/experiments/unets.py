"""U-Nets of about two million parameters for latents, or pixels, of any size."""

from diffusers import DDIMScheduler, UNet2DModel
from scenes import compute, denoiser
from torch import nn


def unet(side: int, taken: int, given: int, widths: tuple, attention: int | None = None) -> UNet2DModel:
    """taken, given: channels. attention: the largest side at which there is any."""

    def blocks(kind: str, sides: list) -> tuple:
        return tuple(f"Attn{kind}Block2D" if attention and each <= attention else f"{kind}Block2D" for each in sides)

    sides = [side >> level for level in range(len(widths))]
    net = UNet2DModel(
        sample_size=side, in_channels=taken, out_channels=given, block_out_channels=widths, layers_per_block=1, norm_num_groups=8,
        down_block_types=blocks("Down", sides), up_block_types=blocks("Up", sides[::-1]), attention_head_dim=16, add_attention=attention is not None,
    )
    denoiser.begin_at_nothing(net)
    return denoiser.plain_attention(net).to(memory_format=compute.FORMAT)


def scheduler(pixels: bool = False) -> DDIMScheduler:
    """As the text model's, but that the last step ends without the noise that Stable Diffusion leaves; guesses of pixels are clipped."""
    return DDIMScheduler.from_config(denoiser.scheduler().config, set_alpha_to_one=True, clip_sample=pixels)


def size(net: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in net.parameters())
