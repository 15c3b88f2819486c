"""Puts the trained parts together as a diffusers StableDiffusionPipeline, and draws with it."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from . import denoiser, first_stage, tokenizer
from .paths import PIPELINE


def assemble(unet, text_encoder, vae) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer.build(), unet=unet,
                                   scheduler=denoiser.scheduler(), safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)


def save(unet, text_encoder, vae) -> None:
    """Writes the diffusers folder that `export` and `evaluate` read."""
    assemble(unet, text_encoder, vae).save_pretrained(PIPELINE)


def untrained() -> None:
    """The same folder with random weights: the layout before the training."""
    words = tokenizer.build()
    save(denoiser.unet(), denoiser.text_encoder(len(words)), first_stage.build())


@torch.no_grad()
def draw(pipe: StableDiffusionPipeline, prompts: list[str], seed: int = 0, steps: int = 25, guidance: float = 3.0,
         batch: int = 50) -> torch.Tensor:
    """Pictures float32 [N, 3, 128, 128] in [-1, 1], by deterministic DDIM with classifier-free guidance."""
    device = next(pipe.unet.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    empty = pipe.text_encoder(tokenizer.encode(pipe.tokenizer, [""]).to(device))[0]
    pictures = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        text = pipe.text_encoder(tokenizer.encode(pipe.tokenizer, part).to(device))[0]
        context = torch.cat([empty.expand(len(part), -1, -1), text])
        x = torch.randn(len(part), 4, 16, 16, generator=generator).to(device)
        schedule = DDIMScheduler.from_config(pipe.scheduler.config)
        schedule.set_timesteps(steps)
        for t in schedule.timesteps:
            blind, seeing = pipe.unet(torch.cat([x, x]), t, context).sample.chunk(2)
            x = schedule.step(blind + guidance * (seeing - blind), t, x, eta=0.0).prev_sample
        pictures.append(pipe.vae.decode(x / pipe.vae.config.scaling_factor).sample.float().clamp(-1, 1))
    return torch.cat(pictures)
