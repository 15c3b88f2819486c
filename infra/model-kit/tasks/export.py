"""Writes the trained models as ONNX into worker-gpu/models, in the layouts that worker-gpu/ldm/families describes.

What they share with the text model lies in its folder alone: each darkroom.json says which parts those are.
"""

import json
import shutil

import torch
from torch import nn

from scenes import denoiser, diffusion, translator
from scenes.export import STAGING, check_alone, replace, write_config, write_graph, write_text_encoder
from scenes.paths import MODEL

from . import inpainting, layout, maps, semantic
from .paths import INPAINTING, LAYOUT, SEMANTIC

TEXT_MODEL = MODEL.name
SPACE = {0: "batch_size", 2: "height", 3: "width"}
BATCH = {0: "batch_size"}


class _Unet(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, sample, timestep, *context):
        return self.model(sample, timestep, *context, return_dict=False)[0]


class _Classes(nn.Module):
    """The paper's ClassEmbedder: classes [B] → a context of one token."""

    def __init__(self, table: nn.Embedding):
        super().__init__()
        self.table = table

    def forward(self, class_labels):
        return self.table(class_labels)[:, None]


def _unet(net, width: int | None = None) -> None:
    """width: of the tokens it attends to."""
    latent = torch.randn(3, net.config.in_channels, 16, 24)
    inputs, names, axes = (latent, torch.tensor([999.0, 500.0, 3.0])), ["sample", "timestep"], {"sample": SPACE, "timestep": BATCH, "out_sample": SPACE}
    if width:
        inputs, names = (*inputs, torch.randn(3, 7, width)), [*names, "encoder_hidden_states"]
        axes["encoder_hidden_states"] = {0: "batch_size", 1: "sequence_length"}
    write_graph(STAGING / "unet", _Unet(net).eval(), inputs, names, "out_sample", axes)
    write_config(STAGING / "unet", dict(net.config))


def _part(name: str, module: nn.Module, inputs: torch.Tensor, given: str, made: str, axes: dict, config: dict) -> None:
    write_graph(STAGING / name, module.eval(), (inputs,), [given], made, axes)
    check_alone(STAGING / name / "model.onnx", module, inputs[:1])
    write_config(STAGING / name, config)


def _finish(name: str, pipeline: str, lent: dict) -> None:
    """The index, what is known of the model and whose parts it has; then it is put in place."""
    (STAGING / "model_index.json").write_text(json.dumps({"_class_name": pipeline}, indent=2) + "\n")
    known = json.loads((MODEL / "darkroom.json").read_text())  # The latents are the same, and so is the way to their previews.
    replace(MODEL.with_name(name))
    (MODEL.with_name(name) / "darkroom.json").write_text(json.dumps(known | {"parts": lent}, separators=(",", ":")) + "\n")


def _begin() -> None:
    torch.manual_seed(0)
    shutil.rmtree(STAGING, ignore_errors=True)
    STAGING.mkdir(parents=True)


def _lent(*parts: str) -> dict:
    return dict.fromkeys(["scheduler", "vae_decoder", *parts], TEXT_MODEL)


def export_layout() -> None:
    model = diffusion.load(layout.Model(), LAYOUT)
    _begin()
    _unet(model.unet, denoiser.WIDTH)
    ids = torch.tensor([layout.tokens([]), layout.tokens([(3, (0.1, 0.2, 0.4, 0.5)), (31, (0.5, 0.5, 1.0, 1.0))])])
    _part("layout_encoder", model.layout, ids, "input_ids", "last_hidden_state", {"input_ids": BATCH, "last_hidden_state": BATCH},
          {"no_object_classes": layout.NO_CLASS, "no_max_objects": layout.MOST, "no_tokens": layout.TOKENS, "unconditional_layout": True})
    _finish("scenes-layout", "LDMLayoutToImagePipeline", _lent())
    _begin()
    _part("class_embedder", _Classes(model.classes), torch.tensor([3, 32]), "class_labels", "encoder_hidden_states",
          {"class_labels": BATCH, "encoder_hidden_states": BATCH}, {"n_classes": layout.NO_CLASS + 1, "unconditional_class": layout.NO_CLASS})
    _finish("scenes-classes", "LDMClassToImagePipeline", _lent() | {"unet": "scenes-layout"})


def export_inpainting() -> None:
    model = diffusion.load(inpainting.Model(), INPAINTING)
    _begin()
    _unet(model.unet, denoiser.WIDTH)
    # The text model may have learnt on since, and its text encoder with it.
    write_text_encoder(STAGING / "text_encoder", *translator.load(), model.text)
    _finish("scenes-inpainting", "StableDiffusionInpaintPipeline", _lent("tokenizer", "vae_encoder"))


def export_semantic() -> None:
    model = diffusion.load(semantic.Model(), SEMANTIC)
    _begin()
    _unet(model.unet)
    drawn = torch.randint(0, len(maps.LABELS), (3, 64, 96))
    _part("spatial_rescaler", model.rescaler, drawn, "semantic_map", "latent_map",
          {"semantic_map": {0: "batch_size", 1: "height", 2: "width"}, "latent_map": SPACE}, {"n_classes": len(maps.LABELS)})
    _finish("scenes-semantic", "LDMSemanticSynthesisPipeline", _lent())


def export_unconditional() -> None:
    """The text model, told nothing, as it is in a tenth of its training."""
    _begin()
    _finish("scenes-unconditional", "LDMPipeline", _lent("text_encoder", "tokenizer", "unet"))


EXPORTS = {"layout": export_layout, "inpainting": export_inpainting, "semantic": export_semantic, "unconditional": export_unconditional}
