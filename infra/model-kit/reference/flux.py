"""FLUX with tiny networks of random weights, exported, and what diffusers draws with them. Its first stage is Stable Diffusion 3's."""

import diffusers
import stable_diffusion_3
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from export import export
from golden import fresh, keep, write
from parts import flux_graph
from stable_diffusion import LENGTH, SAMPLES, loud, masks, picture, sampled, text_encoder
from stable_diffusion_3 import t5, t5_tokenizer
from tiny import tiny_tokenizer
from transformers import CLIPTextModel

CLASSES = stable_diffusion_3.CLASSES
POOLED, WIDTH = 8, 6
TEXT = {0: "batch_size", 1: "sequence_length"}


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
        clip, t5 = self.text_encoder, self.text_encoder_2
        ids = {"input_ids": (torch.zeros(2, LENGTH, dtype=torch.int64), TEXT)}
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
}


def draw(parts: Parts, name: str, request: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """The latent and the pixels that diffusers draws."""
    _, files, scheduler = MODELS[name]
    task, width, height, seed = (request[key] for key in ("task", "width", "height", "seed"))
    pipeline = getattr(diffusers, f"Flux{CLASSES[task]}Pipeline")(
        transformer=parts.transformers[files["transformer"].split("/")[1]], scheduler=FlowMatchEulerDiscreteScheduler.from_config(scheduler), vae=parts.vae,
        text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, text_encoder_2=parts.text_encoder_2, tokenizer_2=parts.tokenizer_2,
    )
    pipeline.set_progress_bar_config(disable=True)
    if name == "flux-dev":
        call = {"guidance_scale": request["guidance"], "max_sequence_length": 512}
    else:
        # Nobody tells it a scale: guidance is between two answers.
        call = {"true_cfg_scale": request["guidance"], "negative_prompt": request["negative_prompt"] or "", "max_sequence_length": 256}
    if task != "text-to-image":
        call |= {"image": picture(height, width, seed + 1), "strength": request["strength"]}
    if task == "inpainting":
        call["mask_image"] = masks(height, width, seed + 2)
    packed = pipeline(
        prompt=request["prompt"], width=width, height=height, num_inference_steps=request["steps"], generator=torch.Generator("cpu").manual_seed(seed),
        output_type="latent", **call,
    ).images  # fmt: skip
    latent = pipeline._unpack_latents(packed, height, width, pipeline.vae_scale_factor)
    return latent, parts.vae.decode(latent / parts.vae.config.scaling_factor + parts.vae.config.shift_factor).sample


def requests(name: str, task: str) -> list[dict]:
    sizes = ((32, 32), (16, 40), (48, 24))
    made = []
    for i, steps in enumerate((6, 1, 20, 5) if name == "flux-dev" else (4, 1, 8, 3)):
        width, height = sizes[i % len(sizes)]
        made.append({
            "task": task, "prompt": ("a large red sphere on the floor", "a small cone and a zebra " * 70)[i % 2], "negative_prompt": (None, "shiny", "")[i % 3],
            "width": width, "height": height, "steps": steps, "guidance": (3.5, 1, 7, 0)[i] if name == "flux-dev" else (1, 3, 2, 1)[i], "guidance_rescale": 0,
            "sampler": (None, "euler")[i % 2], "eta": None, "strength": (0.75, 1, 0.52, 0.35)[i] if task != "text-to-image" else 1, "seed": 100 * i + 11,
        })
    return made


@torch.no_grad()
def flux() -> None:
    parts = Parts()
    parts.export()
    models, drawn = {}, []
    for name, (cls, files, scheduler) in MODELS.items():
        models[name] = {"class": cls, "parts": files, "scheduler": scheduler}
        for task in CLASSES:
            for request in requests(name, task):
                latent, pixels = draw(parts, name, request)
                drawn.append({"model": name, "request": request, **{key: sampled(value, SAMPLES[key]) for key, value in (("latent", latent), ("pixels", pixels))}})
    keep(parts.target)
    write("flux.json", {"models": models, "samples": SAMPLES, "drawn": drawn})
