"""What the paper's authors' own code draws, from their configs, with narrower networks of random weights; and the export of the same checkpoints.

    git clone https://github.com/CompVis/latent-diffusion && git clone https://github.com/CompVis/taming-transformers
    pip install einops omegaconf
    python infra/model-kit/reference/authors.py latent-diffusion taming-transformers OUT_DIR [NAME …]
    npm run eval:authors -- OUT_DIR

Every config is built by the authors' LatentDiffusion, saved as their trainer saves it, exported by infra/model-kit/export/compvis.py and drawn by their
DDIMSampler, PLMSSampler and p_sample_loop; so are variants that none of them names. Widths are cut down; what a config says of structure stays.
"""

import argparse
import collections
import contextlib
import copy
import io
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import torch
import transformers
import yaml
from diffusers import DDIMScheduler, DDPMScheduler
from golden import folder as golden
from paper import near_tie, semantic_map
from stable_diffusion import masks, picture, sampled
from torch import nn
from torch.nn import functional

WIDTH = 32  # Of all networks: GroupNorm has 32 groups.
SAMPLES = {"latent": 1024, "pixels": 1024}
TOKENIZER = golden / "tokenizers" / "bert"
LABELS = {"layout-to-image": 354}  # taming/data/open_images_helper.py: top_300_classes_plus_coco_compatibility

TASKS = {
    "__is_unconditional__": "unconditional", "__is_first_stage__": "inpainting", "torch.nn.Identity": "super-resolution",
    "ClassEmbedder": "class-conditional", "SpatialRescaler": "semantic-synthesis", "BERTEmbedder": "text-to-image",
}


def stand_ins() -> None:
    """For packages that the authors' modules import and drawing has no use for."""
    lightning = types.ModuleType("pytorch_lightning")
    lightning.LightningModule = type("LightningModule", (nn.Module,), {"device": torch.device("cpu")})
    sys.modules["pytorch_lightning"] = lightning
    names = """pytorch_lightning.utilities pytorch_lightning.utilities.distributed clip kornia more_itertools more_itertools.recipes torchvision
        torchvision.models torchvision.transforms torchvision.transforms.functional torchvision.utils"""
    sys.modules |= {name: MagicMock() for name in names.split()}
    sys.modules["pytorch_lightning.utilities.distributed"].rank_zero_only = lambda function: function
    known = transformers.BertTokenizerFast.from_pretrained
    transformers.BertTokenizerFast.from_pretrained = lambda _: known(TOKENIZER)


def configs(source: Path) -> dict[str, dict]:
    """Those of models, and a small model around each first stage."""
    files = sorted((source / "models/ldm").glob("*/config.yaml")) + sorted((source / "configs/latent-diffusion").glob("*.yaml"))
    found = {file.parent.name if file.name == "config.yaml" else file.stem: yaml.safe_load(file.read_text()) for file in files}
    stages = sorted((source / "models/first_stage_models").glob("*/config.yaml")) + sorted((source / "configs/autoencoder").glob("*.yaml"))
    for file in stages:
        stage = yaml.safe_load(file.read_text())["model"]
        if stage["target"].endswith("VQModel"):
            stage["target"] += "Interface"
        channels = stage["params"]["embed_dim"]
        unet = {
            "image_size": 8, "in_channels": channels, "out_channels": channels, "model_channels": WIDTH, "attention_resolutions": [1], "num_res_blocks": 1,
            "channel_mult": [1], "num_heads": 1,
        }
        params = {
            "linear_start": 0.0015, "linear_end": 0.0195, "timesteps": 1000, "image_size": 8, "channels": channels, "scale_factor": 0.4,
            "first_stage_config": {"target": stage["target"], "params": stage["params"]}, "cond_stage_config": "__is_unconditional__",
            "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet},
        }
        found[file.parent.name if file.name == "config.yaml" else file.stem] = {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": params}}
    return found


def variants(found: dict[str, dict]) -> dict[str, dict]:
    """What the paper draws (LDM-1 of §4.1, table 6's KL) or the authors' code can build, and no config of theirs names."""

    def changed(name: str, unet: dict | None = None, stage: dict | None = None, **params) -> dict:
        config = copy.deepcopy(found[name])
        given = config["model"]["params"]
        given["unet_config"]["params"] |= unet or {}
        given["first_stage_config"] = copy.deepcopy(stage or given["first_stage_config"])
        given |= params
        return config

    pixels = {"target": "ldm.models.autoencoder.IdentityFirstStage", "params": {}}
    kl = found["kl-f4"]["model"]["params"]["first_stage_config"]
    linear = copy.deepcopy(found["vq-f4"]["model"]["params"]["first_stage_config"])
    linear["params"]["ddconfig"] |= {"attn_type": "linear", "resamp_with_conv": False, "tanh_out": True}
    rescaled = {"target": "ldm.modules.encoders.modules.SpatialRescaler", "params": {"n_stages": 2, "in_channels": 182}}
    brief = changed("celeba256")
    given = brief["model"]["params"]
    unet, stage = given["unet_config"]["params"], given["first_stage_config"]["params"]["ddconfig"]
    for said, key in ((given, "channels"), (given, "image_size"), (unet, "channel_mult"), (stage, "ch_mult")):
        del said[key]  # What is not said is as the authors' classes have it.
    shifted = {"use_scale_shift_norm": True, "resblock_updown": True, "use_new_attention_order": True, "num_heads": -1, "num_head_channels": 16}
    plain = {"conv_resample": False, "num_heads": 4, "num_heads_upsample": 2, "num_head_channels": -1}
    return {
        "celeba256-f1": changed("celeba256", stage=pixels),
        "cin256-v2-f1": changed("cin256-v2", stage=pixels),
        "inpainting-f1": changed("inpainting_big", stage=pixels),
        "inpainting-kl-f4": changed("inpainting_big", stage=kl, scale_by_std=True),
        "semantic-kl-f4": changed("semantic_synthesis256", stage=kl, scale_factor=0.5),
        "semantic-unmapped": changed("semantic_synthesis256", unet={"in_channels": 185}, cond_stage_config=rescaled),
        "celeba256-shifted": changed("celeba256", unet=shifted),
        "celeba256-plain": changed("celeba256", unet=plain),
        "cin256-v2-deep": changed("cin256-v2", unet={"transformer_depth": 3, "legacy": False, "num_heads": 2}, beta_schedule="sqrt_linear"),
        "celeba256-linear": changed("celeba256", stage=linear),
        "celeba256-cosine": changed("celeba256", beta_schedule="cosine"),
        "celeba256-brief": brief,
    }


def narrowed(config: dict) -> dict:
    config = copy.deepcopy(config)
    params = config["model"]["params"]
    unet, stage, cond = params["unet_config"]["params"], params["first_stage_config"]["params"], params["cond_stage_config"]
    unet["model_channels"] = WIDTH
    if "context_dim" in unet:
        unet["context_dim"] = WIDTH
    if "ddconfig" in stage:
        stage["ddconfig"]["ch"] = WIDTH
        stage["lossconfig"] = {"target": "torch.nn.Identity"}
        stage.pop("ckpt_path", None)
    if isinstance(cond, dict) and cond.get("params"):
        wanted = {"n_embed": WIDTH, "n_layer": 3, "embed_dim": WIDTH}
        cond["params"] |= {key: value for key, value in wanted.items() if key in cond["params"]}
    return config


def randomised(network: nn.Module) -> None:
    """As they are made, many layers give nothing."""
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            weight.normal_(0, 1 if "emb.weight" in name or "embedding" in name else weight[0].numel() ** -0.5)
        else:
            weight.normal_(1 if name.endswith("weight") else 0, 0.1)


def build(config: dict):
    from ldm.models.diffusion.ddpm import LatentDiffusion
    from ldm.modules.ema import LitEma
    from omegaconf import OmegaConf

    model = LatentDiffusion(**OmegaConf.create(config["model"]["params"])).eval()
    if hasattr(model.cond_stage_model, "tknz_fn"):
        model.cond_stage_model.tknz_fn.device = "cpu"
    randomised(model)
    if model.use_ema:
        # The average is another network, so that it shows which of the two was drawn with.
        average = copy.deepcopy(model.model)
        randomised(average)
        model.model_ema = LitEma(average)
    if model.scale_by_std:
        model.scale_factor.fill_(0.7)
    return model


def save(model, file: Path) -> None:
    """With the things that a trainer leaves beside the weights."""
    state = {argparse.Namespace: {"best": Path("best.ckpt"), "score": torch.tensor(0.1)}, "counted": collections.Counter("abc")}
    torch.save({"epoch": 3, "state_dict": model.state_dict(), "callbacks": state, "hyper_parameters": argparse.Namespace(a=[{1}])}, file)


def requests(task: str, factor: int, multiple: int, guided: bool) -> list[dict]:
    side = max(8, multiple)
    sizes = [(side * factor, side * factor), (2 * side * factor, side * factor)]
    chosen = [(None, 10, 0), ("ddim", 20, 1), ("pndm", 10, None), (None, 50, 0.5)]
    made = []
    for i, (sampler, steps, eta) in enumerate(chosen):
        width, height = sizes[i % 2]
        request = {"task": task, "width": width, "height": height, "steps": steps, "sampler": sampler, "eta": eta, "seed": 100 * i}
        request |= {"guidance": (3, 1)[i % 2] if guided else 1}
        request |= {"prompt": "", "negative_prompt": None, "guidance_rescale": 0, "strength": 1}
        if task == "text-to-image":
            request |= {"prompt": "a large red sphere on the floor, " * (1 + 9 * (i % 2))}
        if task == "class-conditional":
            request |= {"class_label": 333 * i}
        if task == "layout-to-image":
            boxes = [[0.1, 0.2, 0.55, 0.9], [0, 0, 1, 1], [0.5, 0.35, 0.85, 0.4], [0.07, 0.61, 0.7, 0.99]]
            request["layout"] = [{"label": 88 * i + k, "box": box} for k, box in enumerate(boxes[: i + 1])]
        made.append(request)
    return made


def condition(model, task: str, request: dict):
    """What get_learned_conditioning is given by the authors' scripts and data sets, and of that without."""
    height, width = request["height"], request["width"]
    if task == "class-conditional":
        # scripts/latent_imagenet_diffusion.ipynb
        learned = lambda label: model.get_learned_conditioning({model.cond_stage_key: torch.tensor([label])})  # noqa: E731
        return learned(request["class_label"]), learned(1000) if request["guidance"] != 1 else None
    if task == "text-to-image":
        learned = model.get_learned_conditioning
        return learned([request["prompt"]]), learned([""]) if request["guidance"] != 1 else None
    if task == "layout-to-image":
        return model.get_learned_conditioning(layout_tokens(request["layout"])), None
    if task == "semantic-synthesis":
        classes = functional.one_hot(semantic_map(height, width, request["seed"]), 182)
        return model.get_learned_conditioning(classes.permute(0, 3, 1, 2).float()), None
    if task == "super-resolution":
        return model.get_learned_conditioning(picture(height // 4, width // 4, request["seed"] + 1)), None
    return None, None


def layout_tokens(layout: list[dict]) -> torch.Tensor:
    """As their data set makes them, but for the shuffle."""
    from taming.data.conditional_builder import objects_center_points
    from taming.data.conditional_builder.objects_bbox import ObjectsBoundingBoxConditionalBuilder
    from taming.data.helper_types import Annotation

    objects_center_points.random.shuffle = lambda annotations: None
    builder = ObjectsBoundingBoxConditionalBuilder(
        no_object_classes=LABELS["layout-to-image"], no_max_objects=30, no_tokens=8192, encode_crop=True, use_group_parameter=True,
        use_additional_parameters=True,
    )
    unsaid = dict.fromkeys(Annotation._fields)
    said = [{"category_no": each["label"], "bbox": (x0, y0, x1 - x0, y1 - y0)} for each in layout for x0, y0, x1, y1 in [each["box"]]]
    annotations = [Annotation(**unsaid | each) for each in said]
    return builder.build(annotations)[None]


def draw(model, request: dict, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The latent, and the picture from −1 to 1."""
    from ldm.models.diffusion.ddim import DDIMSampler
    from ldm.models.diffusion.plms import PLMSSampler

    task = request["task"]
    shape = [model.channels, request["height"] // factor, request["width"] // factor]
    with model.ema_scope():
        if task == "inpainting":
            # scripts/inpaint.py:11–29 and 70–95
            image = (picture(request["height"], request["width"], request["seed"] + 1) + 1) / 2
            mask = masks(request["height"], request["width"], request["seed"] + 2)
            mask[mask < 0.5] = 0
            mask[mask >= 0.5] = 1
            masked = (1 - mask) * image
            image, mask, masked = (each * 2 - 1 for each in (image, mask, masked))
            c = model.get_learned_conditioning(masked)
            cond = torch.cat((c, functional.interpolate(mask, size=c.shape[-2:])), dim=1)
            without = None
        else:
            cond, without = condition(model, task, request)
        torch.manual_seed(request["seed"])
        if request["steps"] == model.num_timesteps:
            x = model.p_sample_loop(cond, [1, *shape], verbose=False)
        else:
            sampler = (PLMSSampler if request["sampler"] == "pndm" else DDIMSampler)(model)
            # They insist on CUDA.
            sampler.register_buffer = lambda name, value: setattr(sampler, name, value)
            x, _ = sampler.sample(
                S=request["steps"], conditioning=cond, batch_size=1, shape=shape, verbose=False, eta=request["eta"] or 0.0,
                unconditional_guidance_scale=request["guidance"], unconditional_conditioning=without,
            )
        pixels = model.decode_first_stage(x)
    if task == "inpainting":
        image, mask, predicted = (torch.clamp((each + 1) / 2, min=0, max=1) for each in (image, mask, pixels))
        pixels = ((1 - mask) * image + mask * predicted) * 2 - 1
    return x, pixels


def write(folder: Path, model, requests: list[dict], factor: int) -> None:
    drawn = []
    for request in requests:
        # Where two codes are nearly as near, a rounding decides: such pictures are of no use, their latents are.
        for seed in range(request["seed"], request["seed"] + 12):
            request["seed"] = seed
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                latent, pixels = draw(model, request, factor)
            quantises = isinstance(getattr(model.first_stage_model, "quantize", None), nn.Module)
            clear = not quantises or near_tie(model.first_stage_model, latent, float(model.scale_factor)) > 5e-6 * latent.abs().max()
            if clear:
                break
        pixels = sampled(pixels, SAMPLES["pixels"]) if clear else None
        drawn.append({"request": request, "latent": sampled(latent, SAMPLES["latent"]), "pixels": pixels})
    (folder / "drawn.json").write_text(json.dumps({"samples": SAMPLES, "drawn": drawn}))


def export(source: Path, out: Path, name: str, config: dict, model, task: str) -> None:
    work = out / ".work"
    work.mkdir(exist_ok=True)
    (work / "config.yaml").write_text(yaml.safe_dump(config))
    save(model, work / "model.ckpt")
    command = [sys.executable, Path(__file__).parents[1] / "export/compvis.py", source, work / "config.yaml", work / "model.ckpt", out / name]
    command += ["--tokenizer", TOKENIZER]
    counts = {"class-conditional": 1000, "semantic-synthesis": 182} | LABELS
    if task in counts:
        (work / "labels.txt").write_text("\n".join(f"class {i}" for i in range(counts[task])))
        command += ["--labels", work / "labels.txt"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(work)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/model-kit/reference/authors.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("latent_diffusion", metavar="latent-diffusion", type=Path)
    parser.add_argument("taming", metavar="taming-transformers", type=Path)
    parser.add_argument("out", metavar="OUT_DIR", type=Path)
    parser.add_argument("names", metavar="NAME", nargs="*", help="all by default")
    given = parser.parse_args()
    sys.path[:0] = [str(given.latent_diffusion), str(given.taming)]
    stand_ins()
    given.out.mkdir(exist_ok=True)
    found = configs(given.latent_diffusion)
    for name, whole in (found | variants(found)).items():
        if given.names and name not in given.names:
            continue
        print(name, flush=True)
        torch.manual_seed(0)
        config = narrowed(whole)
        params = config["model"]["params"]
        cond = params["cond_stage_config"]
        task = TASKS[cond if isinstance(cond, str) else cond["target"].removeprefix("ldm.modules.encoders.modules.")]
        if task == "text-to-image" and not cond["params"].get("use_tokenizer", True):
            task = "layout-to-image"
        with contextlib.redirect_stdout(io.StringIO()):
            model = build(config)
        shutil.rmtree(given.out / name, ignore_errors=True)
        export(given.latent_diffusion, given.out, name, config, model, task)
        factor = 2 ** (model.first_stage_model.decoder.num_resolutions - 1) if hasattr(model.first_stage_model, "decoder") else 1
        multiple = 2 ** (len(model.model.diffusion_model.channel_mult) - 1)
        guided = task == "text-to-image" or (task == "class-conditional" and cond["params"].get("n_classes") == 1001)
        asked = requests(task, factor, multiple, guided)
        write(given.out / name, model, asked, factor)
        if name == "celeba256":
            # scripts/sample_diffusion.py --vanilla_sample: every step of training.
            vanilla = given.out / f"{name}-vanilla"
            shutil.rmtree(vanilla, ignore_errors=True)
            shutil.copytree(given.out / name, vanilla)
            schedule = DDIMScheduler.from_pretrained(vanilla / "scheduler").config
            DDPMScheduler.from_config(schedule, steps_offset=0).save_pretrained(vanilla / "scheduler")
            write(vanilla, model, [asked[0] | {"steps": 1000}], factor)


if __name__ == "__main__":
    main()
