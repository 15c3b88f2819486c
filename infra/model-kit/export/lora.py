"""LoRAs, added to a pipeline's weights."""

import argparse
import json
import math
import re
import sys
from pathlib import Path

from diffusers.utils.state_dict_utils import DIFFUSERS_OLD_TO_PEFT, DIFFUSERS_TO_PEFT, UNET_TO_DIFFUSERS, convert_state_dict
from one_file import read
from safetensors import safe_open

TEXT_ENCODER = DIFFUSERS_OLD_TO_PEFT | DIFFUSERS_TO_PEFT
NAMES = {"unet": UNET_TO_DIFFUSERS, "transformer": {}, "text_encoder": TEXT_ENCODER, "text_encoder_2": TEXT_ENCODER}
PAIRS = (("lora_down", "lora_up"), ("lora_A", "lora_B"))


def parse(text: str) -> tuple[Path, float]:
    """FILE, or FILE=SCALE."""
    file, _, scale = (text, "", "1") if Path(text).is_file() or "=" not in text else text.rpartition("=")
    try:
        if math.isfinite(float(scale)):
            return Path(file), float(scale)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a file, or FILE=SCALE with a number, got {text}")


def fuse(pipeline, file: Path, scale: float) -> None:
    """
    W + scale · alpha/r · BA. Which weights those are, diffusers tells. Its own sum needs peft, which (0.21.2) takes one alpha for all layers where a file has several, as
    LoCon does, and leaves out without an error what has no place.
    """
    if not hasattr(pipeline, "lora_state_dict"):
        sys.exit(f"{file}: expected a model that takes LoRAs, got a {type(pipeline).__name__}")
    weights = {name: weight.float() for name, weight in read(file).items()}
    if any("dora_scale" in name for name in weights):
        sys.exit(f"{file}: expected a LoRA that diffusers reads, got a DoRA in Kohya's format")
    of_unet = {"unet_config": pipeline.unet.config} if hasattr(pipeline, "unet") else {}
    # Before names change, for these change otherwise; but Kohya's of a transformer are changed with their alpha.
    for name in [name for name in weights if name.endswith(".alpha")]:
        for down, up in ([f"{name.removesuffix('alpha')}{each}.weight" for each in pair] for pair in (PAIRS if of_unet else PAIRS[1:])):
            if down in weights and up in weights:
                weights[up] *= weights.pop(name) / len(weights[down])
    try:
        named = pipeline.lora_state_dict(weights, **of_unet)
        named = named[0] if isinstance(named, tuple) else named
    except (ValueError, KeyError) as error:
        sys.exit(f"{file}: expected a LoRA that diffusers reads, got: {shortened(' '.join(str(error).split()).split(', '))}")

    layers, unused, settings = {}, [], peft_settings(file)
    for name, weight in named.items():
        part, _, rest = name.partition(".")
        path, _, which = next(iter(convert_state_dict({rest: weight}, NAMES.get(part, {})))).partition(".lora_")
        network = getattr(pipeline, part, None) if part in NAMES else None
        try:
            # transformers has flattened CLIPTextModel since.
            layer = network.get_submodule(path if hasattr(network, "text_model") else path.removeprefix("text_model."))
            layers.setdefault(f"{part}.{path}", (layer, {}))[1][which.removesuffix(".weight")] = weight
        except AttributeError:
            unused.append(name)
    if not layers:
        sys.exit(f"{file}: expected weights for this {type(pipeline).__name__}, got {shortened(unused) or 'none'}")
    for name, (layer, found) in layers.items():
        if not {"A", "B"} <= found.keys() <= {"A", "B", "magnitude_vector"}:
            sys.exit(f"{file}: {name}: expected a pair of weights, got {', '.join(found)}")
        weight, a, b = layer.weight, found["A"].flatten(1), found["B"].flatten(1)
        if [len(b), b.shape[1], a.shape[1]] != [len(weight), len(a), weight[0].numel()]:
            sys.exit(f"{file}: {name}: expected a LoRA for weights of {list(weight.shape)}, got one for [{len(b)}, {a.shape[1]}]: it belongs to another base model")
        weight += (scale * strength(settings, name, len(a)) * (b @ a)).view_as(weight)
        if "magnitude_vector" in found:
            # DoRA: each output's weights, that long.
            weight *= (found["magnitude_vector"].flatten() / weight.flatten(1).norm(dim=1)).view(-1, *[1] * (weight.dim() - 1))
    print(f"{file}: added to {len(layers)} layers, times {scale:g}", flush=True)
    if unused:
        print(f"{file}: {len(unused)} of {len(named)} weights have no place in this model and were NOT used: {shortened(unused)}", file=sys.stderr, flush=True)


def peft_settings(file: Path) -> dict:
    """By `<part>.<setting>`: diffusers' trainers write them into the file's header, alpha among them."""
    if file.suffix != ".safetensors":
        return {}
    with safe_open(file, "pt") as opened:
        return json.loads((opened.metadata() or {}).get("lora_adapter_metadata", "{}"))


def strength(settings: dict, name: str, rank: int) -> float:
    part, path = name.split(".", 1)
    alpha = settings.get(f"{part}.lora_alpha", rank)
    for pattern, other in (settings.get(f"{part}.alpha_pattern") or {}).items():
        alpha = other if re.fullmatch(rf"(.*\.)?({pattern})", path) else alpha
    return alpha / (rank**0.5 if settings.get(f"{part}.use_rslora") else rank)


def shortened(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
