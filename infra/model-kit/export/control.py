"""A ControlNet (Zhang et al., 2023), which steers a U-Net by a map as large as the picture."""

import re
import sys
from pathlib import Path

import json_file
import one_file
from complete import absent, refuse
from diffusers import ControlNetModel
from variant import variant

STEERED = re.compile(r"StableDiffusion(XL)?(?:ControlNet)?(Img2Img|Inpaint)?Pipeline")
# What both must have alike, for what the one says to be added to what the other has.
ALIKE = ("cross_attention_dim", "block_out_channels", "layers_per_block", "addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")


def load(folder: Path) -> ControlNetModel:
    file = folder / "config.json"
    if not file.is_file():
        sys.exit(f"{file}: expected a ControlNet's folder, as diffusers saves it, found no such file")
    name = json_file.read(file).get("_class_name")
    if name != "ControlNetModel":
        sys.exit(f"{file}: _class_name: expected ControlNetModel, got {name}")
    try:
        network = ControlNetModel.from_pretrained(folder, variant=variant(folder.parent, [folder.name]))
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"{folder}: expected a ControlNet that diffusers loads, got: {one_file.first_line(error)}")
    refuse(folder, name, absent(network))
    return network


def steered_class(index: Path, name: str) -> str:
    """That of diffusers' pipelines which draws as `name` does, with a ControlNet."""
    match = STEERED.fullmatch(name)
    if not match:
        sys.exit(f"{index}: _class_name: expected Stable Diffusion or Stable Diffusion XL, which a ControlNet steers, got {name}")
    return f"StableDiffusion{match[1] or ''}ControlNet{match[2] or ''}Pipeline"


def join(pipeline, control: ControlNetModel, source: Path) -> None:
    """Makes it a part of the pipeline's U-Net, which is exported with it; or says why it is none for it."""
    config, unet = control.config, pipeline.unet.config
    for key in ALIKE:
        expected, got = (each(settings.get(key), len(unet.block_out_channels)) for settings in (unet, config))
        if expected != got:
            sys.exit(f"{source}: {key}: expected {unet.get(key)}, as the U-Net has it, got {config.get(key)}: it belongs to another base model")
    latents, halvings = pipeline.vae.config.latent_channels, len(pipeline.vae.config.block_out_channels)
    for key, expected, got in (
        ("in_channels", latents, config.in_channels),
        ("conditioning_channels", 3, config.conditioning_channels),
        ("conditioning_embedding_out_channels", f"{halvings} widths", f"{len(config.conditioning_embedding_out_channels)} widths"),
        ("num_class_embeds", None, config.num_class_embeds),
        ("class_embed_type", None, config.class_embed_type),
        # The reference steers the half alone that follows the prompt then ("guess mode").
        ("global_pool_conditions", False, config.global_pool_conditions),
    ):
        if expected != got:
            sys.exit(f"{source}: {key}: expected {expected}, got {got}")
    if unet.in_channels not in (latents, 2 * latents + 1):
        sys.exit(f"{source}: expected a U-Net of {latents} channels, or of {2 * latents + 1} for inpainting, to steer, got {unet.in_channels}")
    pipeline.unet.add_module("controlnet", control)


def each(value, levels: int) -> list:
    """A setting of a network's levels, which may be one for all."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * levels
