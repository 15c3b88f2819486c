"""Writes trained models as ONNX in the layout of diffusers' pipelines, as Darkroom reads it: into EXPORTED, and the demo models into worker-gpu/models."""

import json
import shutil
from pathlib import Path

import diffusers
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DModel, VQModel
from scenes import first_stage
from scenes.export import STAGING, Decoder, replace, write_config, write_graph
from scenes.paths import MODEL, WORK
from torch import nn

from . import compression, super_resolution, unets

EXPORTED = WORK / "exported"
SPACE = {0: "batch_size", 2: "height", 3: "width"}
BATCH = {0: "batch_size"}


class _Unet(nn.Module):
    def __init__(self, net: UNet2DModel):
        super().__init__()
        self.net = net

    def forward(self, sample, timestep):
        return self.net(sample, timestep).sample


class _Packed(nn.Module):
    """A network on pixels as one on latents of f = 4 that hold 4×4 pixels each, untouched: sample is x (48 channels) beside the small picture.

    Noise is as normal in any order, so this is diffusion in pixels, in the clothes of LDM-SR.
    """

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, sample, timestep):
        x = F.pixel_shuffle(sample[:, :-3], super_resolution.FACTOR)
        return F.pixel_unshuffle(self.draw(x, timestep, sample[:, -3:]), super_resolution.FACTOR)


class _Once(nn.Module):
    """The regression, which looks at no noise and knows no time; both stay inputs of the graph."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x, timestep, low):
        return self.draw(low) + 0 * (x + timestep[:, None, None, None])


class _Unpack(nn.Module):
    """The first stage of `_Packed`."""

    def forward(self, latent_sample):
        return F.pixel_shuffle(latent_sample, super_resolution.FACTOR)


class _VqDecoder(nn.Module):
    def __init__(self, model: VQModel):
        super().__init__()
        self.model = model

    def forward(self, latent_sample):
        return self.model.decode(latent_sample).sample


def _unet(folder: Path, net: nn.Module, config: dict, side: int) -> None:
    wide = torch.randn(3, config["in_channels"], side, side + side // 2)
    write_graph(folder / "unet", net.eval(), (wide, torch.tensor([999.0, 500.0, 3.0])), ["sample", "timestep"], "out_sample",
                {"sample": SPACE, "timestep": BATCH, "out_sample": SPACE})
    write_config(folder / "unet", config)


def _decoder(folder: Path, name: str, net: nn.Module, config: dict, channels: int) -> None:
    write_graph(folder / f"{name}_decoder", net.eval(), (torch.randn(3, channels, 8, 12),), ["latent_sample"], "sample",
                {"latent_sample": {0: "batch_size", 2: "latent_height", 3: "latent_width"}, "sample": SPACE})
    write_config(folder / f"{name}_decoder", config)


def _first_stage(folder: Path, name: str) -> str:
    """Its decoder; returns what the part is called."""
    model = first_stage.load(name)
    kl = isinstance(model, AutoencoderKL)
    part = "vae" if kl else "vqvae"
    _decoder(folder, part, Decoder(model) if kl else _VqDecoder(model), dict(model.config), model.config.latent_channels)
    return part


def _index(folder: Path, pipeline: str, scheduler, parts: list[str]) -> None:
    scheduler.save_pretrained(folder / "scheduler")
    onnx_model = ["diffusers", "OnnxRuntimeModel"]
    index = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__, "scheduler": ["diffusers", "DDIMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index | {part: onnx_model for part in parts}, indent=2) + "\n")


def _fresh(name: str) -> Path:
    folder = EXPORTED / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def unconditional(name: str) -> Path:
    setting, model, folder = compression.SETTINGS[name], compression.load(name), _fresh(name)
    _unet(folder, _Unet(model.unet), dict(model.unet.config), setting.shape[1])
    if setting.stage is None:
        _index(folder, "DDIMPipeline", unets.scheduler(pixels=True), ["unet"])
    else:
        _index(folder, "LDMPipeline", unets.scheduler(), ["unet", f"{_first_stage(folder, setting.stage)}_decoder"])
    return folder


def upscaler(way: str) -> Path:
    """As LDMSuperResolutionPipeline reads it, whatever it diffuses in."""
    model, folder, side = super_resolution.load(way), _fresh(f"sr-{way}"), super_resolution.SIDE // super_resolution.FACTOR
    scheduler, config = unets.scheduler(pixels=way != "ldm"), dict(model.unet.config)
    if way == "ldm":
        _unet(folder, _Unet(model.unet), config, side)
        _first_stage(folder, super_resolution.STAGE)
    else:
        packed = 3 * super_resolution.FACTOR**2
        config |= {"in_channels": packed + 3, "out_channels": packed}
        _unet(folder, _Packed(_Once(model) if way == "regression" else model), config, side)
        _decoder(folder, "vqvae", _Unpack(), {"_class_name": "VQModel", "block_out_channels": [1, 1, 1], "latent_channels": packed}, packed)
    if way == "regression":
        scheduler.register_to_config(prediction_type="sample")
    _index(folder, "LDMSuperResolutionPipeline", scheduler, ["unet", "vqvae_decoder"])
    return folder


def demo() -> None:
    """LDM-SR, put in the place of the shipped one."""
    shutil.rmtree(STAGING, ignore_errors=True)
    upscaler("ldm").rename(STAGING)
    replace(MODEL.with_name("scenes-super-resolution"))
