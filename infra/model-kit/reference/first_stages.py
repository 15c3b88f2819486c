"""Tiny autoencoders of random weights, exported, and what diffusers gives with them: whole, in tiles, and one in half precision.

Folders and names are Optimum's (vae_encoder: sample → latent_parameters, vae_decoder: latent_sample → sample); vqvae_encoder and vqvae_decoder are ours,
see worker-gpu/ldm/first-stages/vq.ts.
"""

import base64
import copy

import torch
from diffusers import AutoencoderKL, VQModel
from export import export
from golden import fresh, keep, write

SPACE = {0: "batch_size", 2: "height", 3: "width"}


def networks() -> dict[str, torch.nn.Module]:
    """KL with f = 4, with all that a config can say; KL with f = 2 and no more than is needed; VQ with f = 4."""

    def blocks(count: int) -> dict:
        return {"down_block_types": ("DownEncoderBlock2D",) * count, "up_block_types": ("UpDecoderBlock2D",) * count, "norm_num_groups": 2}

    torch.manual_seed(0)
    made = {
        "kl": AutoencoderKL(
            **blocks(3), block_out_channels=(4, 8, 8), latent_channels=4, sample_size=16, scaling_factor=0.7, latents_mean=[0.3, -0.2, 0.1, 0.5],
            latents_std=[1.5, 0.6, 2.0, 0.9],
        ),
        "kl-shift": AutoencoderKL(
            **blocks(2), block_out_channels=(4, 4), latent_channels=3, sample_size=16, scaling_factor=0.4, shift_factor=0.25,
            use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False,
        ),
        "vq": VQModel(
            **blocks(3), block_out_channels=(4, 8, 8), latent_channels=3, sample_size=16, num_vq_embeddings=48, vq_embed_dim=3, scaling_factor=0.9,
        ),
    }
    with torch.no_grad():
        for name, network in made.items():
            network.eval()
            # Initial weights hardly react to their input.
            for weight in network.parameters():
                if weight.dim() > 1:
                    weight.mul_(2.0)
            if name == "vq":
                network.quantize.embedding.weight.normal_()
    return made


def prepare(name: str, network: torch.nn.Module) -> None:
    """Scales the encoder's last weights, so that latents have about unit variance: KL's logvar from far below to above 0, some clamped."""
    with torch.no_grad():
        image = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
        last = network.quant_conv if getattr(network, "quant_conv", None) is not None else network.encoder.conv_out
        latent = network.encode(image)
        latent = latent.latents if name == "vq" else latent.latent_dist.parameters
        by_channel = latent.transpose(0, 1).flatten(1)
        spread = torch.ones(len(by_channel))
        offset = torch.zeros(len(by_channel))
        if name != "vq":
            # The first logvar goes beyond both ends of [-30, 20], the others stay about -1.
            half = len(by_channel) // 2
            spread[half], offset[half] = 25.0, -5.0
            offset[half + 1 :] = -1.0
        scale = spread / by_channel.std(1)
        last.weight.mul_(scale[:, None, None, None])
        last.bias.copy_((last.bias - by_channel.mean(1)) * scale + offset)


class Wrapped(torch.nn.Module):
    def __init__(self, network: torch.nn.Module, forward):
        super().__init__()
        self.network = network
        self.run = forward

    def forward(self, x: torch.Tensor):
        return self.run(x)


def floats(tensor: torch.Tensor) -> dict:
    """Float32, little-endian, in base64."""
    return {"dims": list(tensor.shape[1:]), "data": base64.b64encode(tensor.detach().contiguous().numpy().astype("<f4").tobytes()).decode()}


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """A soft gradient with noise on it, as the test makes it too: torch.randn(…) / 3 clipped to [-1, 1]."""
    return (torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) / 3).clamp(-1, 1)


def golden(name: str, network: torch.nn.Module) -> list[dict]:
    config = network.config
    factor = 2 ** (len(config.block_out_channels) - 1)
    runs = []
    # Sizes square and not, within a tile and beyond: 16 is the tile, 12 the stride, 4 the overlap.
    for height, width in ((16, 16), (32, 32), (16, 40), (28, 20), (52, 36)):
        seed = 1000 + height * width
        image = picture(height, width, seed)
        run: dict = {"size": [height, width], "seed": seed}
        # As the pipelines do: draw, shift and scale; then the other way round.
        for tiling in (False, True):
            if name == "vq":
                encoded, decode = vq(network, image, tiling, config.scaling_factor)
            else:
                encoded, decode = kl(network, image, tiling, seed)
            z = torch.randn(1, config.latent_channels, height // factor, width // factor, generator=torch.Generator().manual_seed(seed + 1))
            run["tiled" if tiling else "whole"] = {**{key: floats(value) for key, value in encoded.items()}, **decode(z)}
        runs.append(run)
    return runs


def kl(network: AutoencoderKL, image: torch.Tensor, tiling: bool, seed: int):
    config = network.config
    network.use_tiling = tiling
    distribution = network.encode(image).latent_dist
    drawn = distribution.sample(torch.Generator().manual_seed(seed))
    if config.latents_mean:
        mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (config.latents_mean, config.latents_std))
        latent = (drawn - mean) * config.scaling_factor / std
    else:
        latent = (drawn - config.shift_factor) * config.scaling_factor

    def decode(z: torch.Tensor) -> dict:
        if config.latents_mean:
            raw = z * std / config.scaling_factor + mean
        else:
            raw = z / config.scaling_factor + config.shift_factor
        return {"pixels": floats(network.decode(raw).sample)}

    return {"moments": distribution.parameters, "latent": latent}, decode


def vq(network: VQModel, image: torch.Tensor, tiling: bool, scale: float):
    """VQModel has no tiling. Ours is AutoencoderKL's own, put around VQModel's networks."""

    def encode(x: torch.Tensor) -> torch.Tensor:
        return network.encode(x).latents

    def decode_raw(z: torch.Tensor) -> torch.Tensor:
        return network.decode(z).sample

    if tiling:
        tiler = AutoencoderKL(block_out_channels=(4, 8, 8), norm_num_groups=2, sample_size=16, down_block_types=("DownEncoderBlock2D",) * 3,
                              up_block_types=("UpDecoderBlock2D",) * 3, use_quant_conv=False, use_post_quant_conv=False)
        tiler.encoder, tiler.decoder = Wrapped(network, encode), Wrapped(network, decode_raw)
        beyond = max(image.shape[2:]) > 16
        encode, decode_raw = (tiler._tiled_encode, lambda z: tiler.tiled_decode(z).sample) if beyond else (encode, decode_raw)

    def decode(z: torch.Tensor) -> dict:
        raw = z / scale
        flat = raw.permute(0, 2, 3, 1).reshape(-1, raw.shape[1])
        distances, codes = torch.cdist(flat.double(), network.quantize.embedding.weight.double()).sort(1)
        assert (distances[:, 1] - distances[:, 0]).min() > 1e-5, "two codes are equally near"
        return {"pixels": floats(decode_raw(raw)), "codes": codes[:, 0].tolist()}

    return {"latent": encode(image) * scale}, decode


@torch.no_grad()
def first_stages() -> None:
    target = fresh("first-stages")
    runs = {}
    for name, network in networks().items():
        prepare(name, network)
        latents = network.config.latent_channels
        image, latent = {"sample": (torch.zeros(1, 3, 16, 16), SPACE)}, {"latent_sample": (torch.zeros(1, latents, 4, 4), SPACE)}
        if name == "vq":
            export(target / name / "vqvae_encoder", network, lambda x: network.encode(x).latents, image, "latent_sample")
            export(target / name / "vqvae_decoder", network, lambda z: decoded_with_codes(network, z), latent, ["sample", "codes"])
        else:
            export(target / name / "vae_encoder", network, lambda x: network.encode(x).latent_dist.parameters, image, "latent_parameters")
            export(target / name / "vae_decoder", network, lambda z: network.decode(z).sample, latent, "sample")
        runs[name] = golden(name, network)
        if name == "kl":
            half = copy.deepcopy(network).half()
            (x, _), (z, _) = image["sample"], latent["latent_sample"]
            export(target / "kl-fp16" / "vae_encoder", half, lambda x: half.encode(x).latent_dist.parameters, {"sample": (x.half(), SPACE)}, "latent_parameters")
            export(target / "kl-fp16" / "vae_decoder", half, lambda z: half.decode(z).sample, {"latent_sample": (z.half(), SPACE)}, "sample")
    write(f"{target.name}/first-stages.json.gz", {"runs": runs})
    keep(target)


def decoded_with_codes(network: VQModel, z: torch.Tensor):
    quantised, _, (_, _, codes) = network.quantize(z)
    codes = codes.reshape(z.shape[0], z.shape[2], z.shape[3]).float()
    return network.decode(quantised, force_not_quantize=True).sample, codes

