"""Stable Diffusion's kin with tiny networks of random weights, exported, and what diffusers draws with them."""

import copy

import diffusers
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, UNet2DConditionModel, UNet2DModel
from export import export
from golden import fresh, keep, packed, write
from parts import steer
from samplers import NAMES, STABLE_DIFFUSION
from tiny import tiny_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

SPACE = {0: "batch_size", 2: "height", 3: "width"}
BATCH = {0: "batch_size"}
LENGTH = 12
SAMPLES = {"latent": 128, "pixels": 32}
# How far they may be from float32.
OF_HALVES = {"latent": 5e-3, "pixels": 2e-2}
PROJECTION = 6
SCALING = 0.6


def loud(network: torch.nn.Module, *, seed: int = 0) -> torch.nn.Module:
    """Random weights barely look at their input. Louder ones make every input count: the time and what is attended to most of all."""
    heard = ("time_emb", "attn2", "conv_in", "add_embedding", "class_embedding", "cond_proj")
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            weight.mul_(4 if any(part in name for part in heard) else 1.7)
    if isinstance(network, (UNet2DConditionModel, UNet2DModel)):
        # An answer of about unit variance, as the noise that it stands for.
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(8, network.config.in_channels, 8, 8, generator=generator)
        more = {name: value.expand(8, *value.shape[1:]) for name, (value, _) in conditions(network).items()}
        if isinstance(network, UNet2DConditionModel):
            more["y"] = torch.randn(8, 5, network.config.cross_attention_dim, generator=generator)
        answer = asked(network, x, torch.linspace(1, 999, 8), **more)
        network.conv_out.weight.mul_(1 / answer.std())
    return network


DOWN, UP = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")


def unet(channels: int = 4, context: int = 8, widths=(4, 8), down=DOWN, up=UP, **more) -> UNet2DConditionModel:
    return loud(
        UNet2DConditionModel(
            sample_size=8, in_channels=channels, block_out_channels=widths, layers_per_block=1, norm_num_groups=2, cross_attention_dim=context,
            attention_head_dim=2, down_block_types=down, up_block_types=up, **more,
        ).eval()
    )


def steered(network: UNet2DConditionModel, order: str) -> UNet2DConditionModel:
    """With a ControlNet, whose answers no zeros hold back, and which looks at its map."""
    control = ControlNetModel.from_unet(network, order, conditioning_embedding_out_channels=(2, 2, 2)).eval()
    for weight in control.parameters():
        if weight.dim() > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.25)
    for weight in control.controlnet_cond_embedding.parameters():
        weight.mul_(5)
    network.add_module("controlnet", control)
    return network


def conditions(network: UNet2DConditionModel | UNet2DModel) -> dict:
    """What the network takes beside a latent, a timestep and a text: examples, and their free axes."""
    config = network.config
    made = {}
    if isinstance(network, UNet2DModel):
        return made
    if config.addition_embed_type == "text_time":
        numbers = (config.projection_class_embeddings_input_dim - PROJECTION) // config.addition_time_embed_dim
        made |= {"text_embeds": (torch.ones(1, PROJECTION), BATCH), "time_ids": (torch.ones(1, numbers), BATCH)}
    if config.time_cond_proj_dim:
        made["timestep_cond"] = (torch.ones(1, config.time_cond_proj_dim), BATCH)
    if config.num_class_embeds:
        made["class_labels"] = (torch.ones(1, dtype=torch.int64), BATCH)
    if hasattr(network, "controlnet"):
        made["controlnet_cond"] = (torch.ones(1, 3, 32, 32), {0: "batch_size", 2: "map_height", 3: "map_width"})
        made["conditioning_scale"] = (torch.ones(1), BATCH)
    return made


def asked(network: UNet2DConditionModel | UNet2DModel, x, t, y=None, text_embeds=None, time_ids=None, controlnet_cond=None, conditioning_scale=None, **more):
    if y is None:
        return network(x, t).sample
    added = {"text_embeds": text_embeds, "time_ids": time_ids} if text_embeds is not None else None
    if controlnet_cond is not None:
        more |= steer(network.controlnet, x, t, y, added, controlnet_cond, conditioning_scale)
    return network(x, t, y, added_cond_kwargs=added, **more).sample


def text_encoder(cls, tokenizer, width: int) -> CLIPTextModel | CLIPTextModelWithProjection:
    return loud(
        cls(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=width, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=LENGTH, projection_dim=PROJECTION, eos_token_id=tokenizer.sep_token_id, bos_token_id=tokenizer.cls_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ).eval()
    )


class Parts:
    def __init__(self):
        torch.manual_seed(0)
        self.tokenizer = tiny_tokenizer()
        # OpenCLIP pads otherwise than CLIP does.
        self.tokenizer_2 = tiny_tokenizer(pad="a")
        self.text_encoder = text_encoder(CLIPTextModel, self.tokenizer, 8)
        self.text_encoder_2 = text_encoder(CLIPTextModelWithProjection, self.tokenizer_2, 4)
        self.vae = AutoencoderKL(
            block_out_channels=(4, 4, 4), norm_num_groups=2, layers_per_block=1, latent_channels=4, sample_size=32, scaling_factor=SCALING,
            down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        ).eval()
        loud(self.vae)
        self.unets = {
            "unet": unet(),
            "unet-inpainting": unet(9),
            "unet-xl": unet(
                context=12, addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=6 * 4 + PROJECTION
            ),
            "unet-lcm": unet(time_cond_proj_dim=8),
            "unet-upscaler": unet(7, num_class_embeds=40),
            "unet-refiner": unet(
                context=4, addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=5 * 4 + PROJECTION
            ),
        }
        self.vae_tiny = AutoencoderTiny(
            encoder_block_out_channels=(4, 4, 4), decoder_block_out_channels=(4, 4, 4), num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)
        ).eval()
        loud(self.vae_tiny)
        self.unets["unet-pix2pix"] = unet(8)
        # Without a middle, as those that were distilled to fewer weights (SSD-1B, Vega, KOALA).
        self.unets["unet-xl-pix2pix"] = unet(
            8, context=12, mid_block_type=None, addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=6 * 4 + PROJECTION
        )
        self.unets["unet-control"] = steered(unet(widths=(4, 4), up=("UpBlock2D", "UpBlock2D"), mid_block_type="UNetMidBlock2D"), "rgb")
        self.unets["unet-xl-control"] = steered(
            unet(
                context=12, widths=(4,), down=("CrossAttnDownBlock2D",), up=("UpBlock2D",), mid_block_type="UNetMidBlock2D",
                addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=6 * 4 + PROJECTION,
            ), "bgr",
        )

    def export(self) -> None:
        self.target = fresh("stable-diffusion")
        self.tokenizer_2.save_pretrained(self.target / "tokenizer_2")
        for name, network in self.unets.items():
            more = conditions(network)
            inputs = {
                "sample": (torch.zeros(2, network.config.in_channels, 8, 8), SPACE),
                "timestep": (torch.tensor([1.0, 2.0]), BATCH),
                "encoder_hidden_states": (torch.zeros(2, LENGTH, network.config.cross_attention_dim), {0: "batch_size", 1: "sequence_length"}),
                **{key: (value.repeat(2, *[1] * (value.dim() - 1)), axes) for key, (value, axes) in more.items()},
            }
            self.export_one(name, network, lambda network, *given, more=more: asked(network, *given[:3], **dict(zip(more, given[3:]))), inputs, "out_sample")
        ids = {"input_ids": (torch.zeros(2, LENGTH, dtype=torch.int64), {0: "batch_size", 1: "sequence_length"})}
        latent, image = {"latent_sample": (torch.zeros(1, 4, 8, 8), SPACE)}, {"sample": (torch.zeros(1, 3, 32, 32), SPACE)}
        self.export_one("text_encoder", self.text_encoder, read("last_hidden_state"), ids, ["last_hidden_state", *HIDDEN])
        self.export_one("text_encoder_2", self.text_encoder_2, read("text_embeds"), ids, ["text_embeds", *HIDDEN])
        self.export_one("vae_decoder", self.vae, lambda vae, z: vae.decode(z).sample, latent, "sample")
        self.export_one("vae_encoder", self.vae, lambda vae, x: vae.encode(x).latent_dist.parameters, image, "latent_parameters")
        self.export_one("vae_decoder-tiny", self.vae_tiny, lambda vae, z: vae.decode(z).sample, latent, "sample")
        self.export_one("vae_encoder-tiny", self.vae_tiny, lambda vae, x: vae.encode(x).latents, image, "latent_sample")

    def export_one(self, name: str, network, forward, inputs: dict, outputs) -> None:
        """As it is, and those of the plain model also as `model.half()` gives them."""
        export(self.target / name, network, lambda *given: forward(network, *given), inputs, outputs)
        if name in HALVED:
            half = copy.deepcopy(network).half()
            halved = {key: (value.half() if value.is_floating_point() else value, axes) for key, (value, axes) in inputs.items()}
            export(self.target / f"{name}-fp16", half, lambda *given: forward(half, *given), halved, outputs)


HALVED = ("unet", "vae_decoder", "vae_encoder")

# As Optimum names them.
HIDDEN = ["hidden_states.0", "hidden_states.1", "hidden_states.2"]


def read(first: str):
    def forward(encoder, ids):
        answer = encoder(input_ids=ids, output_hidden_states=True)
        return (getattr(answer, first), *answer.hidden_states)

    return forward


def folders(unet: str, *, encoder=True, two=False) -> dict:
    names = ["text_encoder", "vae_decoder", *(["vae_encoder"] if encoder else []), *(["text_encoder_2", "tokenizer_2"] if two else [])]
    return {"tokenizer": "tiny/tokenizer", "unet": f"stable-diffusion/{unet}", **{name: f"stable-diffusion/{name}" for name in names}}


# As their files say it: what they leave out is each class' own default, or what the pipeline makes of it.
OFFSET = {**STABLE_DIFFUSION, "steps_offset": 1}
STABLE = {"_class_name": "DDIMScheduler", **OFFSET, "clip_sample": False, "set_alpha_to_one": False}
OLD = {"_class_name": "DDIMScheduler", **STABLE_DIFFUSION, "steps_offset": 0, "clip_sample": True}
V = {
    "_class_name": "DDIMScheduler", **STABLE_DIFFUSION, "clip_sample": False, "prediction_type": "v_prediction", "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}
XL = {"_class_name": "EulerDiscreteScheduler", **OFFSET, "timestep_spacing": "leading", "clip_sample": False}
UPSCALER = {"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "clip_sample": False, "prediction_type": "v_prediction"}
LOW_RES = {"_class_name": "DDPMScheduler", "beta_schedule": "scaled_linear"}

PLAIN = folders("unet")
TINY = {part: f"{folder}-tiny" if part.startswith("vae") else folder for part, folder in PLAIN.items()}
REFINER = {part: folder for part, folder in folders("unet-refiner", two=True).items() if part not in ("tokenizer", "text_encoder")}
HALF = {part: f"{folder}-fp16" if part in HALVED else folder for part, folder in PLAIN.items()}

IMAGE, MASK = "image-to-image", "inpainting"
MODELS = {
    "sd": ("StableDiffusionPipeline", ("text-to-image", IMAGE, MASK), folders("unet"), STABLE, {}),
    "sd-old": ("StableDiffusionPipeline", ("text-to-image", IMAGE, MASK), folders("unet"), OLD, {}),
    "sd-fp16": ("StableDiffusionPipeline", ("text-to-image", IMAGE, MASK), HALF, STABLE, {}),
    "sd-v": ("StableDiffusionImg2ImgPipeline", ("text-to-image", IMAGE, MASK), folders("unet"), V, {}),
    "inpainting": ("StableDiffusionInpaintPipeline", (MASK,), folders("unet-inpainting"), STABLE, {}),
    "xl": ("StableDiffusionXLPipeline", ("text-to-image", IMAGE, MASK), folders("unet-xl", two=True), XL, {"force_zeros_for_empty_prompt": True}),
    "xl-edm": ("StableDiffusionXLPipeline", ("text-to-image", IMAGE, MASK), folders("unet-xl", two=True), {"_class_name": "EDMDPMSolverMultistepScheduler"}, {"force_zeros_for_empty_prompt": True}),
    "refiner": ("StableDiffusionXLImg2ImgPipeline", (IMAGE, MASK), REFINER, XL, {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}),
    "sd-taesd": ("StableDiffusionPipeline", ("text-to-image", IMAGE, MASK), TINY, STABLE, {}),
    "pix2pix": ("StableDiffusionInstructPix2PixPipeline", (IMAGE,), folders("unet-pix2pix"), STABLE, {}),
    "xl-pix2pix": ("StableDiffusionXLInstructPix2PixPipeline", (IMAGE,), folders("unet-xl-pix2pix", two=True), XL, {"force_zeros_for_empty_prompt": True}),
    "control": ("StableDiffusionControlNetPipeline", ("text-to-image", IMAGE, MASK), folders("unet-control"), STABLE, {}),
    "xl-control": ("StableDiffusionXLControlNetPipeline", ("text-to-image", IMAGE, MASK), folders("unet-xl-control", two=True), XL, {"force_zeros_for_empty_prompt": True}),
    "lcm": ("LatentConsistencyModelPipeline", ("text-to-image", IMAGE), folders("unet-lcm"), {"_class_name": "LCMScheduler"}, {}),
    "upscaler": ("StableDiffusionUpscalePipeline", ("super-resolution",), folders("unet-upscaler", encoder=False), UPSCALER, {"max_noise_level": 39}),
}


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """The tests make the same: noise about grey."""
    return (torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) / 3).clamp(-1, 1)


def masks(height: int, width: int, seed: int, channels: int = 1) -> torch.Tensor:
    """From 0 to 1; with three channels they are maps that steer."""
    return (torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed)) / 3 + 0.5).clamp(0, 1)


CLASSES = {
    "text-to-image": "", IMAGE: "Img2Img", MASK: "Inpaint",
}


def draw(parts: Parts, name: str, request: dict, model=None) -> tuple[torch.Tensor, torch.Tensor]:
    """The latent and the pixels that diffusers draws."""
    cls, _, files, scheduler, index = model or MODELS[name]
    task, width, height, seed = (request[key] for key in ("task", "width", "height", "seed"))
    network = parts.unets[files["unet"].split("/")[1].removesuffix("-fp16")]
    vae = parts.vae_tiny if files is TINY else parts.vae
    common = {"vae": vae, "text_encoder": parts.text_encoder, "tokenizer": parts.tokenizer, "unet": network}
    common["scheduler"] = getattr(diffusers, scheduler["_class_name"]).from_config(scheduler)
    checked = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    size = {"width": width, "height": height}
    call = {}
    # Without a scale nothing steers, as if there were nothing to do so.
    steers = "control_scale" in request
    control = "ControlNet" if steers else ""
    common |= {"controlnet": network.controlnet} if steers else {}
    if "XL" in cls:
        made = getattr(diffusers, cls if "Pix2Pix" in cls else f"StableDiffusionXL{control}{CLASSES[task]}Pipeline")
        common |= {} if "text_encoder" in files else {"text_encoder": None, "tokenizer": None}
        pipeline = made(**common, text_encoder_2=parts.text_encoder_2, tokenizer_2=parts.tokenizer_2, add_watermarker=False, **index)
    elif "Consistency" in cls:
        made = getattr(diffusers, f"LatentConsistencyModel{CLASSES[task]}Pipeline")
        pipeline = made(**common, **checked)
    elif "Upscale" in cls:
        pipeline = diffusers.StableDiffusionUpscalePipeline(**common, low_res_scheduler=diffusers.DDPMScheduler.from_config(LOW_RES), **index)
        call = {"image": picture(height // 4, width // 4, seed + 1), "noise_level": request["noise_level"]}
    elif "Pix2Pix" in cls:
        pipeline = diffusers.StableDiffusionInstructPix2PixPipeline(**common, **checked)
    else:
        made = getattr(diffusers, f"StableDiffusion{control}{CLASSES[task]}Pipeline")
        pipeline = made(**common, **checked)
    pipeline.set_progress_bar_config(disable=True)
    if request["sampler"]:
        other, overrides = NAMES[request["sampler"]]
        pipeline.scheduler = getattr(diffusers, other).from_config(pipeline.scheduler.config, **overrides)
    if task == "text-to-image":
        call = size
    if task in (IMAGE, MASK):
        call = {"image": picture(height, width, seed + 1), **({} if "Pix2Pix" in cls else {"strength": request["strength"]})}
    if "image_guidance" in request:
        call["image_guidance_scale"] = request["image_guidance"]
    if "XLInstruct" in cls:
        call |= size  # It takes another one for its own where none is given.
    if task == MASK:
        call |= {"mask_image": masks(height, width, seed + 2), **size}
    if steers:
        # Where there is no image, they call the map so.
        shown = "image" if task == "text-to-image" else "control_image"
        call |= {shown: masks(height, width, seed + 3, channels=3), "controlnet_conditioning_scale": float(request["control_scale"]), **size}
        call |= {f"control_guidance_{end}": float(request[f"control_{end}"]) for end in ("start", "end") if f"control_{end}" in request}
    if request["guidance_rescale"] > 0:
        call["guidance_rescale"] = request["guidance_rescale"]
    if "Consistency" not in cls:
        call |= {"negative_prompt": request["negative_prompt"], "eta": request["eta"] or 0}
    latent = pipeline(
        prompt=request["prompt"], guidance_scale=request["guidance"], num_inference_steps=request["steps"],
        generator=torch.Generator("cpu").manual_seed(seed), output_type="latent", **call,
    ).images
    config = vae.config
    # Which the upscaler sets by itself.
    raw = latent / config.scaling_factor
    if "XL" in cls and config.latents_mean:
        mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (config.latents_mean, config.latents_std))
        raw = latent * std / config.scaling_factor + mean
    parts.vae.register_to_config(scaling_factor=SCALING)
    return latent, vae.decode(raw).sample


def requests(name: str, task: str) -> list[dict]:
    sizes = ((32, 32), (16, 40), (48, 24))
    if task == "super-resolution":
        sizes = ((32, 32), (16, 48), (64, 32))
    chosen = [(None, 6, None), (None, 1, None), (None, 20, None), ("ddim", 7, 0.6), *((sampler, 6, None) for sampler in NAMES if sampler != "ddim")]
    if name == "lcm":
        chosen = [(None, 4, None), (None, 1, None), ("lcm", 8, None), (None, 2, None)]
    if name == "xl-edm":
        chosen = [(None, steps, None) for steps in (6, 1, 20)]
    if name in ("refiner", "sd-taesd", "pix2pix", "xl-pix2pix"):
        others = [("ddim", 6, None), (None, 5, None)] if "pix2pix" in name else []
        chosen = [(None, 6, None), (None, 1, None), ("euler-ancestral", 6, None), ("heun", 6, None), *others]
    if "control" in name:
        chosen = [(None, 6, None), ("euler-ancestral", 6, None), ("heun", 5, None), ("heun", 6, None), ("pndm", 5, None), (None, 20, None)]
        chosen = chosen if name == "control" else [(None, 6, None), ("dpm++-2m", 5, None), ("heun", 4, None)]
    # Clipped guesses, and halves, drift apart in long walks.
    if name == "sd-old":
        chosen = [(sampler, 3, None) for sampler in (None, "ddpm", "euler", "heun")]
    if name == "sd-fp16":
        chosen = [(sampler, 4, None) for sampler in (None, "ddpm", "euler", "dpm++-2m")]
    made = []
    for i, (sampler, steps, eta) in enumerate(chosen):
        width, height = sizes[i % len(sizes)]
        request = {
            "task": task, "prompt": ("a large red sphere on the floor", "a small cone and a zebra " * 4)[i % 2],
            "negative_prompt": (None, "shiny", "")[i % 3], "width": width, "height": height, "steps": steps, "guidance": (3, 7.5, 1, 2.5)[i % 4],
            "guidance_rescale": 0.7 if task == "text-to-image" and name != "lcm" and i % 2 else 0, "sampler": sampler, "eta": eta,
            "strength": (0.8, 1, 0.55, 0.35)[(i + (i > 1)) % 4] if steps > 1 and task in (IMAGE, MASK) else 1,
            "seed": 100 * i + len(made),
        }
        if "pix2pix" in name and i > 0:
            request["image_guidance"] = (1.5, 1, 4, 2.25, 8, 1.2)[i]
        if "control" in name:
            request["guidance_rescale"] = 0  # Not theirs.
        if "control" in name and i != (2 if name == "control" else 3):
            request["control_scale"] = (1, 0.6, 0.8)[i % 3]
            if i > 1:
                # Between an evaluation's end and the next one's beginning, and at one of them.
                request["control_start"], request["control_end"] = (0.25, 0.8) if name == "xl-control" else {3: (0.2, 0.7), 4: (0.2, 1), 5: (0, 0.4)}[i]
        if task == "super-resolution":
            request["noise_level"] = (20, 0, 39)[i % 3]
        made.append(request)
    return made


@torch.no_grad()
def stable_diffusion() -> None:
    parts = Parts()
    parts.export()
    models, drawn = {}, []
    for name, (cls, tasks, files, scheduler, index) in MODELS.items():
        models[name] = {"class": cls, "index": index, "parts": files, "scheduler": scheduler}
        if files is HALF:
            models[name]["tolerance"] = OF_HALVES
        if cls == "StableDiffusionUpscalePipeline":
            models[name]["low_res_scheduler"] = LOW_RES
        for task in tasks:
            for request in requests(name, task):
                latent, pixels = draw(parts, name, request)
                drawn.append({"model": name, "request": request, **{key: sampled(value, SAMPLES[key]) for key, value in (("latent", latent), ("pixels", pixels))}})
    keep(parts.target)
    write("stable-diffusion.json", {"models": models, "samples": SAMPLES, "drawn": drawn})


def sampled(values: torch.Tensor, count: int) -> str:
    assert torch.isfinite(values).all()
    return packed(values.flatten()[:: max(1, values.numel() // count)])
