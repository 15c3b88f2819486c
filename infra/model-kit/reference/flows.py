"""What pipelines of flows (Stable Diffusion 3's and FLUX's) are asked for, and what diffusers draws with them."""

import torch
from golden import keep, write
from stable_diffusion import OF_HALVES, SAMPLES, masks, picture, sampled

CLASSES = {"text-to-image": "", "image-to-image": "Img2Img", "inpainting": "Inpaint"}


def requests(steps: tuple, guidance: tuple, seed: int) -> list[dict]:
    """Of each task as many as there are numbers of steps."""
    sizes = ((32, 32), (16, 40), (48, 24))
    made = []
    for task in CLASSES:
        for i in range(len(steps)):
            width, height = sizes[i % len(sizes)]
            made.append({
                "task": task, "prompt": ("a large red sphere on the floor", "a small cone and a zebra " * 70)[i % 2], "negative_prompt": (None, "shiny", "")[i % 3],
                "width": width, "height": height, "steps": steps[i], "guidance": guidance[i], "guidance_rescale": 0, "sampler": (None, "euler")[i % 2], "eta": None,
                "strength": (0.75, 1, 0.52, 0.35)[i] if task != "text-to-image" else 1, "seed": 100 * i + seed,
            })
    return made


def draw(pipeline, request: dict, **more) -> torch.Tensor:
    """The latent, in the pipeline's own form. `more`: what it is called with beside what all are."""
    pipeline.set_progress_bar_config(disable=True)
    width, height, seed = (request[key] for key in ("width", "height", "seed"))
    if request["task"] != "text-to-image":
        more |= {"image": picture(height, width, seed + 1), "strength": request["strength"]}
    if request["task"] == "inpainting":
        more["mask_image"] = masks(height, width, seed + 2)
    return pipeline(
        prompt=request["prompt"], width=width, height=height, num_inference_steps=request["steps"], generator=torch.Generator("cpu").manual_seed(seed),
        output_type="latent", **more,
    ).images  # fmt: skip


def write_all(name: str, parts, models: dict, requests_of, latent_of) -> None:
    """Exports the parts, and writes what each model draws of its requests. `latent_of`: what diffusers makes of one, [1, C, h, w]."""
    parts.export()
    drawn = []
    for model in models:
        for request in requests_of(model):
            latent = latent_of(parts, model, request)
            pixels = parts.vae.decode(latent / parts.vae.config.scaling_factor + parts.vae.config.shift_factor).sample
            drawn.append({"model": model, "request": request, **{key: sampled(value, SAMPLES[key]) for key, value in (("latent", latent), ("pixels", pixels))}})
    described = {
        model: {"class": cls, "parts": files, "scheduler": scheduler, **({"tolerance": OF_HALVES} if model.endswith("-fp16") else {})}
        for model, (cls, files, scheduler) in models.items()
    }
    keep(parts.target)
    write(name, {"models": described, "samples": SAMPLES, "drawn": drawn})
