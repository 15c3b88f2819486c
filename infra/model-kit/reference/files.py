"""What diffusers draws of Stable Diffusion in one file, with LoRAs, and with ControlNets, and the exports of the same files.

    pip install peft==0.21.2
    python infra/model-kit/reference/files.py OUT_DIR
    npm run eval:authors -- OUT_DIR

Tiny networks with random weights are written as the authors' code names them, exported by infra/model-kit/export and drawn by the pipelines that from_single_file reads.
LoRAs are drawn as load_lora_weights and peft add them, where these add all that the file says.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import diffusers
import torch
from safetensors.torch import save_file
from stable_diffusion import MODELS, SAMPLES, Parts, draw, requests, sampled, steered
from torch import nn

EXPORT = Path(__file__).parents[1] / "export"

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
OUTER = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "class_embedding": "label_emb", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def replaced(name: str, names: dict) -> str:
    for old, new in names.items():
        name = re.sub(rf"(^|\.){re.escape(old)}\.", rf"\g<1>{new}.", name)
    return name


def unet(network) -> dict:
    """diffusers' names to those of openaimodel.py."""
    each = network.config.layers_per_block + 1

    def renamed(name):
        found = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
        if found:
            side, block, kind, i, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
            if kind == "downsamplers":
                return f"input_blocks.{each * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
            if kind == "upsamplers":
                return f"output_blocks.{each * (block + 1) - 1}.{2 if hasattr(network.up_blocks[block], 'attentions') else 1}.{rest}"
            at = f"input_blocks.{each * block + i + 1}" if side == "down" else f"output_blocks.{each * block + i}"
            return f"{at}.1.{rest}" if kind == "attentions" else f"{at}.0.{replaced(rest, RESNET)}"
        found = re.match(r"mid_block\.(\w+)\.(\d+)\.(.*)", name)
        if found:
            return f"middle_block.1.{found[3]}" if found[1] == "attentions" else f"middle_block.{2 * int(found[2])}.{replaced(found[3], RESNET)}"
        return replaced(name, OUTER)

    return {f"model.diffusion_model.{renamed(name)}": weight for name, weight in network.state_dict().items()}


def first_stage(network) -> dict:
    count = len(network.config.block_out_channels)
    made = {}
    for name, weight in network.state_dict().items():
        name = re.sub(r"up_blocks\.(\d+)", lambda found: f"up.{count - 1 - int(found[1])}", name)
        name = name.replace("down_blocks", "down").replace("resnets", "block").replace("samplers.0", "sample").replace("conv_norm_out", "norm_out")
        name = re.sub(r"mid_block\.block\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name).replace("conv_shortcut", "nin_shortcut")
        if "attentions" in name:
            name = replaced(name.replace("mid_block.attentions.0", "mid.attn_1"), ATTENTION)
            weight = weight[..., None, None] if weight.dim() == 2 else weight
        made[f"first_stage_model.{name}"] = weight
    return made


def clip(network, prefix: str) -> dict:
    return {f"{prefix}.transformer.text_model.{name.removeprefix('text_model.')}": weight for name, weight in network.state_dict().items()}


def open_clip(network, prefix: str) -> dict:
    """With Q, K and V in one."""
    made, state = {}, {name.removeprefix("text_model."): weight for name, weight in network.state_dict().items()}
    names = {"encoder.layers": "transformer.resblocks", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "fc1": "c_fc", "fc2": "c_proj", "self_attn": "attn", "final_layer_norm": "ln_final"}
    for name, weight in state.items():
        if "position_embedding" in name:
            made["positional_embedding"] = weight
        elif "token_embedding" in name:
            made["token_embedding.weight"] = weight
        elif name == "text_projection.weight":
            made["text_projection"] = weight.T.contiguous()
        elif "q_proj" in name:
            all_three = torch.cat([state[name.replace("q_proj", each)] for each in ("q_proj", "k_proj", "v_proj")])
            made[replaced(name, names).replace("q_proj.", "in_proj_")] = all_three
        elif "k_proj" not in name and "v_proj" not in name:
            made[replaced(name, names)] = weight
    return {f"{prefix}.model.{name}": weight for name, weight in made.items()}


def kohya(pipeline, *, alphas=(1.0,), ranks=(2,), conv=False, parts=("unet", "text_encoder", "text_encoder_2")) -> dict:
    """A LoRA in Kohya's format, as sd-scripts and LyCORIS write them."""
    generator = torch.Generator().manual_seed(5)
    made = {}
    for prefix, _, layer in layers(pipeline, parts, conv):
        i = len(made)
        rank, alpha = ranks[i % len(ranks)], alphas[i % len(alphas)]
        weight = layer.weight
        down = torch.randn(rank, *weight.shape[1:], generator=generator) / weight[0].numel() ** 0.5
        up = torch.randn(len(weight), rank, *[1] * (weight.dim() - 2), generator=generator) / 3
        made |= {f"{prefix}.lora_down.weight": down, f"{prefix}.lora_up.weight": up, f"{prefix}.alpha": torch.tensor(alpha)}
    return made


def layers(pipeline, parts, conv):
    two = getattr(pipeline, "text_encoder_2", None) is not None
    for part in parts:
        network = getattr(pipeline, part, None)
        for name, layer in network.named_modules() if network else ():
            if isinstance(layer, nn.Linear) and re.search("attn|mlp|ff|proj_", name) or conv and isinstance(layer, nn.Conv2d) and "resnets" in name:
                name = name.replace(".", "_")
                if part == "unet":
                    yield f"lora_unet_{name}", part, layer
                else:
                    yield f"lora_te{'' if not two else 1 if part == 'text_encoder' else 2}_text_model_{name.removeprefix('text_model_')}", part, layer


def added(weights: dict, pipeline, scale: float, conv=False) -> None:
    """By definition: W + scale · alpha/r · BA."""
    for prefix, _, layer in layers(pipeline, ("unet", "text_encoder", "text_encoder_2"), conv):
        down, up, alpha = (weights[f"{prefix}.{each}"] for each in ("lora_down.weight", "lora_up.weight", "alpha"))
        layer.weight += scale * alpha / len(down) * (up.flatten(1) @ down.flatten(1)).view_as(layer.weight)


def of_peft(pipeline, file: Path, parts=("unet", "text_encoder"), **settings) -> None:
    """As diffusers' trainers save one."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(6)
    made = {}
    for part, targets in (("unet", ["to_q", "to_k", "to_v", "to_out.0", "conv1"]), ("text_encoder", ["q_proj", "out_proj", "fc1"])):
        if part not in parts:
            continue
        network = getattr(pipeline, part)
        network.add_adapter(LoraConfig(r=3, target_modules=targets, init_lora_weights="gaussian", **settings))
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.3)
            if "magnitude" in name:
                weight.mul_(1 + torch.rand_like(weight))
        made |= {f"{part}_lora_layers": get_peft_model_state_dict(network), f"{part}_lora_adapter_metadata": network.peft_config["default"].to_dict()}
    pipeline.save_lora_weights(file.parent, weight_name=file.name, **made)


def built(parts: Parts, cls: str, files: dict, scheduler: dict, index: dict, **others):
    common = {"vae": parts.vae, "unet": parts.unets[files["unet"].split("/")[1]], "scheduler": getattr(diffusers, scheduler["_class_name"]).from_config(scheduler)}
    common |= {"tokenizer": parts.tokenizer, "text_encoder": parts.text_encoder} if "text_encoder" in files else {"tokenizer": None, "text_encoder": None}
    if "XL" in cls:
        more = {"text_encoder_2": parts.text_encoder_2, "tokenizer_2": parts.tokenizer_2, "add_watermarker": False}
    elif "Upscale" in cls:
        more = {"low_res_scheduler": diffusers.DDPMScheduler(beta_schedule="scaled_linear")}
    else:
        more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return getattr(diffusers, cls)(**common, **more, **index, **others)


def original(pipeline, text: str) -> dict:
    """`text`: whose text encoder the file has."""
    made = unet(pipeline.unet) | first_stage(pipeline.vae)
    if text == "1":
        return made | clip(pipeline.text_encoder, "cond_stage_model")
    if text == "2":
        return made | open_clip(pipeline.text_encoder, "cond_stage_model")
    if text == "xl":
        return made | clip(pipeline.text_encoder, "conditioner.embedders.0") | open_clip(pipeline.text_encoder_2, "conditioner.embedders.1")
    return made | open_clip(pipeline.text_encoder_2, "conditioner.embedders.0")


MARKED = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}

# Each: its like among the golden models, the text encoder's layout, and what else.
CASES = {
    "sd": ("sd", "1", {}),
    "sd-half-ckpt": ("sd", "1", {"half": True, "suffix": ".ckpt"}),
    "sd-2": ("sd-v", "2", {}),
    "sd-marked-v": ("sd", "1", {"marks": {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}, "heeded": MARKED}),
    "sd-without-vae": ("sd", "1", {"without": "first_stage_model"}),
    "inpainting": ("inpainting", "1", {}),
    "pix2pix": ("pix2pix", "1", {}),
    "upscaler": ("upscaler", "2", {}),
    "xl": ("xl", "xl", {}),
    "refiner": ("refiner", "refiner", {}),
    "sd-lora": ("sd", "1", {"lora": {"alphas": (1.0,)}, "scale": 0.8, "by_peft": True}),
    "sd-locon": ("sd", "1", {"lora": {"alphas": (1.0, 4.0, 2.0), "ranks": (2, 3), "conv": True}, "scale": -0.6}),
    "xl-lora": ("xl", "xl", {"lora": {"alphas": (3.0,), "ranks": (4,)}, "by_peft": True}),
    "xl-locon": ("xl", "xl", {"lora": {"alphas": (1.0, 2.0), "ranks": (4,), "conv": True}, "scale": 1.5}),
    "sd-peft": ("sd", "1", {"peft": {"lora_alpha": 2, "alpha_pattern": {"to_k": 5}}, "scale": 0.7, "by_peft": True}),
    "sd-rslora": ("sd", "1", {"peft": {"lora_alpha": 2, "use_rslora": True}, "by_peft": True}),
    "sd-dora": ("sd", "1", {"peft": {"lora_alpha": 2, "use_dora": True, "parts": {"unet"}}, "by_peft": True}),
}


def make(out: Path, name: str) -> None:
    like, text, more = CASES[name]
    cls, tasks, files, scheduler, index = MODELS[like]
    parts = Parts()
    pipeline = built(parts, cls, files, scheduler, index)
    work = out / f"{name}.work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(out / name, ignore_errors=True)
    pipeline.save_pretrained(work / "config")
    for file in work.glob("config/*/*.safetensors"):
        if file.parent.name != "vae" or "without" not in more:
            file.unlink()
    weights = {key: weight.half() if more.get("half") else weight.contiguous() for key, weight in original(pipeline, text).items()}
    weights = {key: weight for key, weight in weights.items() if not key.startswith(more.get("without", "-"))} | more.get("marks", {})
    file = work / f"model{more.get('suffix', '.safetensors')}"
    if file.suffix == ".ckpt":
        # With what a trainer leaves beside the weights.
        torch.save({"state_dict": weights, "callbacks": {SimpleNamespace: {"best": Path("best.ckpt")}}, "epoch": 3}, file)
        torch.serialization.add_safe_globals([SimpleNamespace])
        file_read = work / "read.safetensors"
        save_file(weights, file_read)
    else:
        save_file(weights, file)
        file_read = file

    parts_of = {"vae": parts.vae} if "without" in more else {}
    loaded = getattr(diffusers, cls).from_single_file(str(file_read), config=str(work / "config"), torch_dtype=torch.float32, **parts_of)
    scale, loras = more.get("scale", 1), []
    if "lora" in more or "peft" in more:
        lora = work / "lora=1.safetensors"
        loras = ["--lora", str(lora) if scale == 1 else f"{lora}={scale}"]
        if "lora" in more:
            made = kohya(loaded, **more["lora"])
            save_file(made, lora)
        else:
            of_peft(pipeline, lora, **more["peft"])
        if more.get("by_peft"):
            loaded.load_lora_weights(str(lora))
            loaded.fuse_lora(lora_scale=scale, components=[part for part in ("unet", "text_encoder", "text_encoder_2") if getattr(loaded, part, None)])
            loaded.unload_lora_weights()
        else:
            added(made, loaded, scale, more["lora"].get("conv"))
    subprocess.run([sys.executable, EXPORT, file, out / name, "--config", work / "config", *loras], check=True)

    # As it is read back: with every default written out, a request's sampler is made of those.
    scheduler = json.loads((work / "config/scheduler/scheduler_config.json").read_text()) | more.get("heeded", {})
    key = files["unet"].split("/")[1]
    read = SimpleNamespace(**{part: getattr(loaded, part, None) for part in ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")}, unets={key: loaded.unet})
    drawn = []
    for task in tasks:
        for request in requests(like, task)[:4]:
            latent, pixels = draw(read, like, request, (cls, tasks, files, scheduler, index))
            drawn.append({"request": request, "latent": sampled(latent, SAMPLES["latent"]), "pixels": sampled(pixels, SAMPLES["pixels"])})
    (out / name / "drawn.json").write_text(json.dumps({"samples": SAMPLES, "drawn": drawn}))
    shutil.rmtree(work)


# Each: its like among the golden models, the order of the map's channels, and whether the model's folder has the ControlNet.
STEERED = {
    "control": ("sd", "rgb", False),
    "control-within": ("sd", "bgr", True),
    "control-inpainting": ("inpainting", "rgb", False),
    "control-xl": ("xl", "bgr", False),
    "control-xl-within": ("xl", "rgb", True),
}


def make_steered(out: Path, name: str) -> None:
    like, order, within = STEERED[name]
    cls, tasks, files, scheduler, index = MODELS[like]
    parts = Parts()
    network = parts.unets[files["unet"].split("/")[1]]
    # It sees the latent alone, of whichever U-Net.
    control = steered(parts.unets["unet-xl" if like == "xl" else "unet"], order)._modules.pop("controlnet")
    work = out / f"{name}.work"
    for folder in (work, out / name):
        shutil.rmtree(folder, ignore_errors=True)
    if within:
        built(parts, cls.replace("Pipeline", "ControlNetPipeline"), files, scheduler, index, controlnet=control).save_pretrained(work / "model")
    else:
        built(parts, cls, files, scheduler, index).save_pretrained(work / "model")
        control.save_pretrained(work / "control")
    subprocess.run([sys.executable, EXPORT, work / "model", out / name, *([] if within else ["--control", work / "control"])], check=True)

    network.add_module("controlnet", control)
    saved = json.loads((work / "model/scheduler/scheduler_config.json").read_text())
    drawn = []
    for task in tasks:
        for request in requests("control", task):
            latent, pixels = draw(parts, like, request, (cls, tasks, files, saved, index))
            drawn.append({"request": request, "latent": sampled(latent, SAMPLES["latent"]), "pixels": sampled(pixels, SAMPLES["pixels"])})
    (out / name / "drawn.json").write_text(json.dumps({"samples": SAMPLES, "drawn": drawn}))
    shutil.rmtree(work)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/model-kit/reference/files.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT_DIR", type=Path)
    parser.add_argument("names", metavar="NAME", nargs="*", help="all by default")
    given = parser.parse_args()
    diffusers.logging.set_verbosity_error()
    given.out.mkdir(exist_ok=True)
    for name in given.names or [*CASES, *STEERED]:
        print(name, flush=True)
        (make if name in CASES else make_steered)(given.out, name)


if __name__ == "__main__":
    main()
