"""FLUX with tiny networks of random weights, exported, and what diffusers draws with them. Its first stage is Stable Diffusion 3's."""

import copy

import diffusers
import stable_diffusion_3
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from export import export
from flows import CLASSES, draw, requests, write_all
from golden import fresh
from parts import WORDS, flux_graph
from stable_diffusion import LENGTH, text_encoder
from stable_diffusion_3 import t5, t5_tokenizer
from tiny import tiny_tokenizer
from transformers import CLIPTextModel

POOLED, WIDTH = 8, 6


def transformer(guidance_embeds: bool) -> FluxTransformer2DModel:
    network = FluxTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=4, num_attention_heads=2, joint_attention_dim=WIDTH,
        pooled_projection_dim=POOLED, axes_dims_rope=(0, 2, 2), guidance_embeds=guidance_embeds,
    ).eval()
    heard = ("time_text_embed", "context_embedder", "add_")
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            weight.mul_(4 if any(part in name for part in heard) else 1.7)
    # An answer of about unit variance, as what it stands for, noise less picture.
    generator = torch.Generator().manual_seed(0)
    x, y, pooled = (torch.randn(8, *shape, generator=generator) for shape in ((16, 64), (5, WIDTH), (POOLED,)))
    guidance = [torch.full([8], 3.5)] if guidance_embeds else []
    answer = network(x, y, pooled, torch.linspace(0.001, 0.999, 8), torch.zeros(16, 3), torch.zeros(5, 3), *guidance).sample
    network.proj_out.weight.mul_(1 / answer.std())
    return network


class Parts:
    def __init__(self):
        self.vae = stable_diffusion_3.Parts().vae
        torch.manual_seed(0)
        self.tokenizer, self.tokenizer_2 = tiny_tokenizer(), t5_tokenizer()
        self.text_encoder, self.text_encoder_2 = text_encoder(CLIPTextModel, self.tokenizer, POOLED), t5(self.tokenizer_2, WIDTH)
        self.transformers = {"transformer-dev": transformer(True), "transformer-schnell": transformer(False)}

    def export(self) -> None:
        self.target = fresh("flux")
        self.tokenizer_2.save_pretrained(self.target / "tokenizer_2")
        for name, network in self.transformers.items():
            export(self.target / name, network, *flux_graph(network), fold=network.config.guidance_embeds)
        half = copy.deepcopy(self.transformers["transformer-schnell"]).half()
        export(self.target / "transformer-schnell-fp16", half, *flux_graph(half), fold=False)
        clip, t5 = self.text_encoder, self.text_encoder_2
        ids = {"input_ids": (torch.zeros(2, LENGTH, dtype=torch.int64), WORDS)}
        export(self.target / "text_encoder", clip, lambda ids: clip(input_ids=ids).to_tuple()[:2], ids, ["last_hidden_state", "pooler_output"])
        export(self.target / "text_encoder_2", t5, lambda ids: t5(input_ids=ids).last_hidden_state, ids, "last_hidden_state")


def folders(transformer: str) -> dict:
    return {
        "tokenizer": "tiny/tokenizer", "transformer": f"flux/{transformer}",
        **{name: f"flux/{name}" for name in ("text_encoder", "text_encoder_2", "tokenizer_2")},
        **{name: f"stable-diffusion-3/{name}" for name in ("vae_decoder", "vae_encoder")},
    }


# As they were published.
DEV = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 4096, "max_shift": 1.15,
    "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": True,
}
SCHNELL = {**DEV, "shift": 1.0, "use_dynamic_shifting": False}
MODELS = {
    "flux-dev": ("FluxPipeline", folders("transformer-dev"), DEV),
    "flux-schnell": ("FluxImg2ImgPipeline", folders("transformer-schnell"), SCHNELL),
    "flux-schnell-fp16": ("FluxPipeline", folders("transformer-schnell-fp16"), SCHNELL),
}


def latent(parts: Parts, name: str, request: dict) -> torch.Tensor:
    _, files, scheduler = MODELS[name]
    network = parts.transformers[files["transformer"].split("/")[1].removesuffix("-fp16")]
    pipeline = getattr(diffusers, f"Flux{CLASSES[request['task']]}Pipeline")(
        transformer=network, scheduler=FlowMatchEulerDiscreteScheduler.from_config(scheduler), vae=parts.vae,
        text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, text_encoder_2=parts.text_encoder_2, tokenizer_2=parts.tokenizer_2,
    )
    if name == "flux-dev":
        more = {"guidance_scale": request["guidance"], "max_sequence_length": 512}
    else:
        # Nobody tells it a scale: guidance is between two answers.
        more = {"true_cfg_scale": request["guidance"], "negative_prompt": request["negative_prompt"] or "", "max_sequence_length": 256}
    return pipeline._unpack_latents(draw(pipeline, request, **more), request["height"], request["width"], pipeline.vae_scale_factor)


def asked(name: str) -> list[dict]:
    if name == "flux-dev":
        return requests((6, 1, 20, 5), (3.5, 1, 7, 0), seed=11)
    return requests((6, 3), (3, 1), seed=11) if name.endswith("-fp16") else requests((4, 1, 8, 3), (1, 3, 2, 1), seed=11)


@torch.no_grad()
def flux() -> None:
    write_all("flux.json", Parts(), MODELS, asked, latent)
