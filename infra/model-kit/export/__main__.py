"""Exports a diffusers pipeline, or a model of one file, to ONNX as Darkroom reads it.

    python infra/model-kit/export DIFFUSERS_DIR OUT_DIR [--control DIR] [--lora FILE[=SCALE]] [--half]
    python infra/model-kit/export MODEL.safetensors OUT_DIR [--config DIR] [--control DIR] [--lora FILE[=SCALE]] [--half]

Networks of Stable Diffusion (3 and 3.5, too), FLUX, InstructPix2Pix, SDXL and its refiner, LCM, the upscaler, DiT, and the LDM, DDPM, DDIM and PNDM pipelines. Every row of a U-Net has a timestep of its own, and encoders give
distributions, so nothing has to be rewritten when the model is imported: npm run models -- add OUT_DIR. A ControlNet of Stable Diffusion or SDXL is exported with its U-Net, as one graph.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import control
import diffusers
import json_file
import lora
import one_file
import torch
from complete import absent, complete
from parts import NETWORKS, TEXT
from variant import variant
from whole import whole

warnings.filterwarnings("ignore")

# These run a first stage whose config says `force_upcast` in float32, whatever the rest: in less it overflows, and importing one would have to widen it.
UPCASTING = json.loads((Path(__file__).parents[3] / "worker-gpu/ldm/first-stages/upcasting.json").read_text())
CONTROL = "ControlNetModel"
UNUSED = {"safety_checker", "feature_extractor", "image_encoder", "watermark"}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/model-kit/export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="DIFFUSERS_DIR|FILE", type=Path, help="a file: .safetensors, or .ckpt, of which nothing but tensors is read")
    parser.add_argument("target", metavar="OUT_DIR", type=Path, help="must not exist")
    parser.add_argument("--half", action="store_true", help="float16 weights, inputs and outputs, but of a first stage that must not (force_upcast)")
    parser.add_argument("--config", metavar="DIR", help="for a file: the diffusers folder, or its name on Hugging Face, whose settings it is built with; by default that of its base")
    parser.add_argument("--control", metavar="DIR", type=Path, help="a ControlNet's folder, where the model has none of its own")
    parser.add_argument("--lora", metavar="FILE[=SCALE]", action="append", default=[], type=lora.parse, help="added to the weights, times SCALE; may be given again")
    given = parser.parse_args()
    with whole(given.target) as target:
        export(parser, given, target)


def export(parser: argparse.ArgumentParser, given: argparse.Namespace, target: Path) -> None:
    weights = one_file.read(given.source) if given.source.is_file() else None
    if given.config and given.source.is_dir():
        parser.error(f"--config: expected a file to build with it, got the folder {given.source}")
    folder = given.source if weights is None else one_file.settings(given.source, weights, given.config)
    index = folder / "model_index.json"
    if not index.is_file():
        sys.exit(f"{index}: expected a diffusers pipeline, found no such file")

    saved = json_file.read(index)
    if not isinstance(saved.get("_class_name"), str):
        sys.exit(f"{index}: _class_name: expected a class of diffusers, got {saved.get('_class_name')}")
    # Told before gigabytes are read, and before a class is looked for that this version may not have.
    strange = [f"{name} ({part[1]})" for name, part in saved.items() if isinstance(part, list) and part[1] and name not in UNUSED and is_strange(part[1])]
    if strange:
        sys.exit(f"{index}: expected networks of {', '.join([*NETWORKS, *TEXT, CONTROL])}, got {', '.join(strange)}")
    for config in sorted(folder.glob("*/config.json")):
        quantised = json_file.read(config).get("quantization_config")
        if quantised:
            sys.exit(f"{config}: expected weights as they were before they were quantised, got {quantised.get('quant_method', 'quantised ones')}")
    own = ["controlnet"] if (saved.get("controlnet") or [None, None])[1] else []
    if given.control and own:
        sys.exit(f"--control: expected a model without a ControlNet, got {folder}, which has one: two of them at once are not served")
    if given.control or own:
        saved["_class_name"] = control.steered_class(index, saved["_class_name"])
    controlnet = control.load(given.control) if given.control else None
    saved.pop("controlnet", None)  # Of what is exported, the U-Net has it.

    # A null leaves a part out; what is left out here is not needed to draw, or was not there when it was saved, as Stable Diffusion 3's T5 may be.
    left_out = {name: None for name, part in saved.items() if name in UNUSED or part == [None, None]}
    if weights is None:
        files = variant(folder, [*(name for name in saved if name not in left_out), *own])
        if files:
            print(f"weights: {files}, for not all parts have others", flush=True)
        try:
            with complete():
                pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, variant=files, **left_out)
        except (OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            sys.exit(f"{folder}: expected a pipeline that diffusers loads, got: {one_file.first_line(error)}")
    else:
        pipeline = one_file.load(given.source, weights, folder, **left_out)
        del weights
    for name, part in pipeline.components.items():
        missing = absent(part) if isinstance(part, torch.nn.Module) else []
        if missing:
            sys.exit(f"{given.source}: expected the networks of {folder}, found no weights for {len(missing)} of {name}: {', '.join(missing[:3])}")
    for file, scale in given.lora:
        lora.fuse(pipeline, file, scale)
    if controlnet or own:
        control.join(pipeline, controlnet or pipeline.controlnet, given.control or folder / "controlnet")
        print("controlnet: ControlNetModel, in one graph with the unet", flush=True)
    parts = {name: part for name, part in pipeline.components.items() if part is not None and name not in UNUSED and kind(part) != CONTROL}

    for name, part in parts.items():
        print(f"{name}: {kind(part)}", flush=True)
        if isinstance(part, torch.nn.Module):
            upcast = getattr(part.config, "force_upcast", False) and any(upcasting in saved["_class_name"] for upcasting in UPCASTING)
            part = (part.half() if given.half and not upcast else part).eval()
        if isinstance(part, diffusers.SchedulerMixin):
            part.save_pretrained(target / name)
        elif kind(part) in NETWORKS:
            scored = name == "unet" and saved.get("requires_aesthetics_score")
            NETWORKS[kind(part)](target, name, part, **({"time_ids": 5} if scored else {}))
        elif kind(part) in TEXT:
            # T5 knows no places, only distances.
            TEXT[kind(part)](target, name, part, getattr(part.config, "max_position_embeddings", 77))
        elif name.startswith("tokenizer"):
            part.save_pretrained(target / name)
    (target / "model_index.json").write_text(json.dumps(saved, indent="\t") + "\n")


def is_strange(name: str) -> bool:
    return name not in [*NETWORKS, *TEXT, CONTROL] and not name.endswith(("Scheduler", "Tokenizer", "TokenizerFast", "TokenizersBackend", "Processor", "Extractor"))


def kind(part) -> str:
    return type(part).__name__


if __name__ == "__main__":
    main()
