"""Stable Diffusion of one file, in the layout of the authors' code, as a pipeline of diffusers'."""

import importlib
import json
import re
import sys
import zipfile
from pathlib import Path

import diffusers
import torch
from complete import complete
from compvis import Nothing
from diffusers.loaders.single_file_utils import SingleFileComponentError, fetch_diffusers_config
from huggingface_hub import snapshot_download
from safetensors.torch import load_file

UNET = "model.diffusion_model.input_blocks.0.0.weight"
# What a config's folder lends, where it has weights and the file none.
TEXT = ("cond_stage_model.", "conditioner.")
LENT = {"vae": ("first_stage_model.", "vae."), "text_encoder": TEXT, "text_encoder_2": TEXT}
OTHERS = {"lora": "a LoRA, which --lora adds to the model that it is for", "double_blocks": "Flux", "joint_blocks": "Stable Diffusion 3"}
# As ComfyUI and bitsandbytes call them, in whose files no weight is what it stands for.
SCALED = re.compile(r"(^|\.)(scaled_fp8|scale_weight|weight_scale|comfy_quant|absmax|nested_absmax)$")


def read(file: Path) -> dict[str, torch.Tensor]:
    """Nothing but tensors, of a pickle too: whatever else it names is neither imported nor called."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        strange = torch.serialization.get_unsafe_globals_in_checkpoint(file) if zipfile.is_zipfile(file) else []
        torch.serialization.add_safe_globals([(Nothing, name) for name in strange])
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch advises to read without care.
        got = first_line(error) if file.suffix == ".safetensors" else type(error).__name__
        sys.exit(f"{file}: expected weights of safetensors, or of torch.save with nothing else in it that has to be run, got: {got}")
    while isinstance(weights, dict) and "state_dict" in weights:
        weights = weights["state_dict"]
    if not isinstance(weights, dict):
        sys.exit(f"{file}: expected weights by name, got a {type(weights).__name__}")
    return weights


def settings(file: Path, weights: dict, config: str | None) -> Path:
    """A diffusers folder which says how the networks are built, how noise is made, and has the tokenizers: what the file leaves out."""
    if UNET not in weights:
        known = (what for part, what in OTHERS.items() if any(part in name for name in weights))
        sys.exit(f"{file}: expected Stable Diffusion with its {UNET}, got {next(known, f'weights as {next(iter(weights))}' if weights else 'no weights')}")
    scaled = next((name for name in weights if SCALED.search(name)), None)
    if scaled:
        sys.exit(f"{file}: expected weights as they are, in float32, float16, bfloat16 or float8, got {scaled}: they are to be multiplied first, which diffusers does not")
    if config and Path(config).is_dir():
        return Path(config)
    if not config and "edm_vpred.sigma_max" in weights:
        sys.exit(f"{file}: expected --config with a diffusers folder whose scheduler is EDM's: CosXL is built as SDXL, and its noise is another")
    config = config or fetch_diffusers_config(weights)["pretrained_model_name_or_path"]
    try:
        return Path(snapshot_download(config, allow_patterns=["*.json", "*.txt"]))
    except Exception as error:
        sys.exit(f"{config}: expected its settings on Hugging Face, or --config with a diffusers folder of such a model, got {type(error).__name__}")


def load(file: Path, weights: dict, folder: Path, **parts) -> diffusers.DiffusionPipeline:
    saved = json.loads((folder / "model_index.json").read_text())
    cls = getattr(diffusers, saved["_class_name"])
    if not hasattr(cls, "from_single_file"):
        sys.exit(f"{folder}: expected a pipeline that is read from one file, got {cls.__name__}")
    for name, prefixes in LENT.items():
        if not any(key.startswith(prefixes) for key in weights) and any((folder / name).glob("*.safetensors")):
            library, lent = saved[name]
            with complete():
                parts[name] = getattr(importlib.import_module(library), lent).from_pretrained(folder / name)
    try:
        pipeline = cls.from_single_file(str(file), config=str(folder), **parts)
    except NotImplementedError:
        sys.exit(f"{file}: expected the networks of {folder}, found no weights for some of their layers")
    except (OSError, ValueError, KeyError, SingleFileComponentError) as error:
        sys.exit(f"{file}: expected the networks of {folder}, got: {first_line(error)}")
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.float()
    # As ComfyUI tells them apart: there is no other mark of what they predict.
    if "v_pred" in weights:
        pipeline.scheduler.register_to_config(prediction_type="v_prediction")
    if "ztsnr" in weights:
        pipeline.scheduler.register_to_config(rescale_betas_zero_snr=True, timestep_spacing="trailing")
    scheduler = pipeline.scheduler
    print(f"built as {folder}: {cls.__name__}, {type(scheduler).__name__}, {scheduler.config.prediction_type}", flush=True)
    return pipeline


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].split(". If you want")[0]
