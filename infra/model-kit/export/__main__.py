"""Exports a diffusers pipeline to ONNX as Darkroom reads it.

    python infra/model-kit/export DIFFUSERS_DIR OUT_DIR [--half]

Networks of Stable Diffusion, InstructPix2Pix, SDXL and its refiner, LCM, the upscaler, DiT, and the LDM, DDPM, DDIM and PNDM pipelines. Every row of a U-Net has a timestep of its own, and encoders give
distributions, so nothing has to be rewritten when the model is imported: npm run models -- add OUT_DIR.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import diffusers
import torch
from parts import NETWORKS, TEXT

warnings.filterwarnings("ignore")

# These run a first stage whose config says `force_upcast` in float32, whatever the rest: Darkroom refuses one in less.
UPCASTING = ("StableDiffusionXL", "StableDiffusionUpscale")
UNUSED = {"safety_checker", "feature_extractor", "image_encoder", "watermark"}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/model-kit/export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="DIFFUSERS_DIR", type=Path)
    parser.add_argument("target", metavar="OUT_DIR", type=Path, help="must not exist")
    parser.add_argument("--half", action="store_true", help="float16 weights, inputs and outputs, but of a first stage that must not (force_upcast)")
    given = parser.parse_args()
    index = given.source / "model_index.json"
    if not index.is_file():
        sys.exit(f"{index}: expected a diffusers pipeline, found no such file")
    if given.target.exists():
        sys.exit(f"{given.target}: expected a folder that does not exist yet")

    saved = json.loads(index.read_text())
    # Told before gigabytes are read, and before a class is looked for that this version may not have.
    strange = [f"{name} ({part[1]})" for name, part in saved.items() if isinstance(part, list) and part[1] and name not in UNUSED and is_strange(part[1])]
    if strange:
        sys.exit(f"{index}: expected networks of {', '.join(NETWORKS | TEXT)}, got {', '.join(strange)}")

    # A null leaves a part out; what is left out here is not needed to draw.
    left_out = {name: None for name in UNUSED & saved.keys()}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(given.source, torch_dtype=torch.float32, **left_out)
    parts = {name: part for name, part in pipeline.components.items() if part is not None and name not in UNUSED}

    for name, part in parts.items():
        print(f"{name}: {kind(part)}", flush=True)
        if isinstance(part, torch.nn.Module):
            upcast = getattr(part.config, "force_upcast", False) and saved["_class_name"].startswith(UPCASTING)
            part = (part.half() if given.half and not upcast else part).eval()
        if isinstance(part, diffusers.SchedulerMixin):
            part.save_pretrained(given.target / name)
        elif kind(part) in NETWORKS:
            scored = name == "unet" and saved.get("requires_aesthetics_score")
            NETWORKS[kind(part)](given.target, name, part, **({"time_ids": 5} if scored else {}))
        elif kind(part) in TEXT:
            TEXT[kind(part)](given.target, name, part, part.config.max_position_embeddings)
        elif name.startswith("tokenizer"):
            part.save_pretrained(given.target / name)
    (given.target / "model_index.json").write_text(json.dumps(saved, indent="\t") + "\n")


def is_strange(name: str) -> bool:
    return name not in NETWORKS | TEXT and not name.endswith(("Scheduler", "Tokenizer", "TokenizerFast", "TokenizersBackend", "Processor", "Extractor"))


def kind(part) -> str:
    return type(part).__name__


if __name__ == "__main__":
    main()
