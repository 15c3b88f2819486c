"""The paper's own pipelines with tiny networks of random weights, and what diffusers, or the authors' code where diffusers has none, draws with them."""

import functools
import inspect
import json

import diffusers
import torch
from compvis import ClassEmbedder, LayoutTokens, SpatialRescaler, decode, inpaint, walk
from diffusers import (
    AutoencoderKL, DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, DiTPipeline, DiTTransformer2DModel, LDMPipeline, LDMSuperResolutionPipeline,
    LDMTextToImagePipeline, PNDMPipeline, UNet2DConditionModel, UNet2DModel,
)
from diffusers.pipelines.deprecated.latent_diffusion_uncond import pipeline_latent_diffusion_uncond as latent_diffusion_uncond
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel
from diffusers.utils.torch_utils import randn_tensor
from export import export
from first_stages import networks, prepare
from golden import fresh, keep, write
from samplers import NAMES
from stable_diffusion import SPACE, loud, masks, picture, sampled
from tiny import tiny_tokenizer
from torch.nn import functional

CLASSES = 11
SAMPLES = {"latent": 128, "pixels": 64}


def unet(channels: int, context: int | None = None) -> UNet2DModel | UNet2DConditionModel:
    common = {"sample_size": 4, "in_channels": channels, "out_channels": 3, "block_out_channels": (4, 8), "layers_per_block": 1, "norm_num_groups": 2}
    if context:
        made = UNet2DConditionModel(
            **common, cross_attention_dim=context, attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )
    else:
        made = UNet2DModel(
            **common, attention_head_dim=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D")
        )
    return loud(made.eval())


def transformer(vocabulary: int, length: int) -> LDMBertModel:
    """diffusers' port of the authors' x_transformer, which both BERTEmbedders are: of words, and of layouts."""
    config = LDMBertConfig(
        vocab_size=vocabulary, max_position_embeddings=length, encoder_layers=1, encoder_ffn_dim=16, encoder_attention_heads=2, head_dim=4, d_model=8,
        attn_implementation="eager",
    )
    network = LDMBertModel(config).eval()
    for weight in network.parameters():
        if weight.dim() > 1:
            weight.normal_(0, 0.35)
    return network


def dit() -> DiTTransformer2DModel:
    """Answers a variance too. Its pipeline takes class 1000 for none."""
    network = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=2, in_channels=3, out_channels=6, num_layers=1, sample_size=8, num_embeds_ada_norm=1000
    ).eval()
    for weight in network.parameters():
        if weight.dim() > 1:
            weight.mul_(3)
    answer = network(torch.randn(8, 3, 8, 8), torch.linspace(1, 999, 8), torch.arange(8)).sample
    network.proj_out_2.weight.mul_(1 / answer.std())
    return network


class Parts:
    """The networks, and the golden folder of each graph."""

    def __init__(self):
        torch.manual_seed(0)
        self.unets = {3: unet(3), 6: unet(6), 7: unet(7), "attending": unet(3, 8)}
        self.kl = AutoencoderKL(
            block_out_channels=(4, 4), norm_num_groups=2, layers_per_block=1, latent_channels=3, sample_size=16, scaling_factor=0.6,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ).eval()
        loud(self.kl)
        self.tokenizer = tiny_tokenizer()
        self.bert = transformer(len(self.tokenizer), 77)
        self.layout_tokens = LayoutTokens(no_object_classes=CLASSES, no_max_objects=4, no_tokens=64, encode_crop=True)
        self.layout_encoder = transformer(64, 14)
        self.class_embedder = loud(ClassEmbedder(embed_dim=8, n_classes=CLASSES + 1))
        self.spatial_rescaler = loud(SpatialRescaler(n_stages=2, in_channels=CLASSES, out_channels=3))
        self.spatial_rescaler.channel_mapper.weight.mul_(3)
        # Last: networks() seeds by itself.
        self.vq = networks()["vq"]
        prepare("vq", self.vq)
        self.unets["dit"] = dit()

    def export(self) -> None:
        self.target = fresh("paper")
        for name, network in self.unets.items():
            channels = network.config.in_channels
            inputs = {"sample": (torch.zeros(2, channels, 8, 8), SPACE), "timestep": (torch.tensor([1.0, 2.0]), {0: "batch_size"})}
            if name == "attending":
                inputs["encoder_hidden_states"] = (torch.zeros(2, 5, 8), {0: "batch_size", 1: "sequence_length"})
            forward = lambda *given, network=network: network(*given).sample  # noqa: E731
            if name == "dit":
                # Of one size. Its variance is left out, for which no sampler has a use.
                forward = lambda *given, network=network: network(*given).sample[:, :3]  # noqa: E731
                inputs = {**{key: (value, {0: "batch_size"}) for key, (value, _) in inputs.items()}, "class_labels": (torch.ones(2, dtype=torch.int64), {0: "batch_size"})}
                network.register_to_config(out_channels=channels)
            export(self.target / f"unet-{name}", network, forward, inputs, "out_sample")
        self.unets["dit"].register_to_config(out_channels=6)
        export(
            self.target / "vae_decoder", self.kl, lambda z: self.kl.decode(z).sample, {"latent_sample": (torch.zeros(1, 3, 8, 8), SPACE)}, "sample"
        )
        for name, network, length in (("bert", self.bert, 77), ("layout_encoder", self.layout_encoder, 14)):
            ids = {"input_ids": (torch.zeros(2, length, dtype=torch.int64), {0: "batch_size"})}
            if name == "layout_encoder":
                network.config = self.layout_tokens.config
            export(self.target / name, network, lambda ids, network=network: network.model(ids, return_dict=True).last_hidden_state, ids, "last_hidden_state")
        export(
            self.target / "class_embedder", self.class_embedder, self.class_embedder, {"class_labels": (torch.zeros(2, dtype=torch.int64), {0: "batch_size"})},
            "encoder_hidden_states",
        )
        export(
            self.target / "spatial_rescaler", self.spatial_rescaler, self.rescale,
            {"semantic_map": (torch.zeros(1, 16, 16, dtype=torch.int64), {0: "batch_size", 1: "height", 2: "width"})}, "latent_map",
        )

    def rescale(self, semantic_map: torch.Tensor) -> torch.Tensor:
        """As SpatialRescaler, but mapped first, which comes to the same and needs no one-hot map of hundreds of channels."""
        x = self.spatial_rescaler.channel_mapper.weight[:, :, 0, 0].T[semantic_map].permute(0, 3, 1, 2)
        for _ in range(self.spatial_rescaler.config.n_stages):
            x = functional.interpolate(x, scale_factor=0.5, mode="bilinear")
        return x


# The authors' schedules, ddim.py's timesteps (one later than they are) and its last step.
DDIM = {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
VQ = {"vqvae_decoder": "first-stages/vq/vqvae_decoder"}
ENCODING = {**VQ, "vqvae_encoder": "first-stages/vq/vqvae_encoder"}
ATTENDING = {"unet": "paper/unet-attending"}
TEXT = {**ATTENDING, "bert": "paper/bert", "tokenizer": "tiny/tokenizer"}
SUPER = {**ENCODING, "unet": "paper/unet-6"}

MODELS = {
    "text2im-kl": ("LDMTextToImagePipeline", "text-to-image", {**TEXT, "vae_decoder": "paper/vae_decoder"}, DDIMScheduler(**DDIM, beta_end=0.0195)),
    "text2im-vq": ("LDMTextToImagePipeline", "text-to-image", {**TEXT, **VQ}, DDIMScheduler(**DDIM, beta_end=0.0195, prediction_type="v_prediction")),
    "super-resolution": ("LDMSuperResolutionPipeline", "super-resolution", SUPER, DDIMScheduler(**DDIM, beta_end=0.0155, prediction_type="v_prediction")),
    "inpaint": ("LDMInpaintPipeline", "inpainting", {**ENCODING, "unet": "paper/unet-7"}, DDIMScheduler(**DDIM, beta_end=0.0205)),
    "class": (
        "LDMClassToImagePipeline", "class-conditional", {**VQ, **ATTENDING, "class_embedder": "paper/class_embedder"},
        DDIMScheduler(**DDIM, beta_end=0.0195),
    ),
    "dit": ("DiTPipeline", "class-conditional", {"unet": "paper/unet-dit", "vae_decoder": "paper/vae_decoder"}, DDIMScheduler(clip_sample=False)),
    "layout": (
        "LDMLayoutToImagePipeline", "layout-to-image", {**VQ, **ATTENDING, "layout_encoder": "paper/layout_encoder"},
        DDIMScheduler(**DDIM, beta_end=0.0205, prediction_type="v_prediction"),
    ),
    "semantic": (
        "LDMSemanticSynthesisPipeline", "semantic-synthesis", {**VQ, "unet": "paper/unet-6", "spatial_rescaler": "paper/spatial_rescaler"},
        DDIMScheduler(**DDIM, beta_end=0.0205),
    ),
    "unconditional-vq": ("LDMPipeline", "unconditional", {**VQ, "unet": "paper/unet-3"}, DDIMScheduler(**DDIM, beta_end=0.0195)),
    "unconditional-kl": (
        "LDMPipeline", "unconditional", {"vae_decoder": "paper/vae_decoder", "unet": "paper/unet-3"},
        DDIMScheduler(**DDIM, beta_end=0.0155, prediction_type="v_prediction"),
    ),
    "pixels": ("DDPMPipeline", "unconditional", {"unet": "paper/unet-3"}, DDPMScheduler(clip_sample=False)),
    "pixels-ddim": ("DDIMPipeline", "unconditional", {"unet": "paper/unet-3"}, DDPMScheduler(clip_sample=False, prediction_type="v_prediction")),
    "pixels-pndm": ("PNDMPipeline", "unconditional", {"unet": "paper/unet-3"}, DDPMScheduler(clip_sample=False)),
}


def saved(scheduler) -> dict:
    return json.loads(scheduler.to_json_string())


def scheduler_for(own, sampler: str | None):
    if sampler is None:
        return type(own).from_config(own.config)
    cls, overrides = NAMES[sampler]
    # As from a file: every key is said, none is a default.
    config = {key: value for key, value in own.config.items() if key != "_use_default_values"}
    return getattr(diffusers, cls).from_config(config, **overrides)


def requests(name: str, task: str) -> list[dict]:
    factor = 1 if name.startswith("pixels") else 2 if name.endswith("-kl") else 4
    sizes = [(w * factor, h * factor) for w, h in ((4, 4), (4, 8), (10, 6))]
    if task == "super-resolution":
        sizes = [(128, 128), (128, 256)]
    chosen = [(None, 7, None), (None, 2, None), (None, 1, None), ("ddim", 50, 0.5)]
    chosen += [(sampler, 6, None) for sampler in NAMES if sampler != "ddim"]
    if name == "dit":
        # It draws noise for both of guidance's branches, and steps from what it has scaled.
        sizes = [(16, 16)]
        chosen = [(None, 7, None), (None, 2, None), (None, 20, None), *((sampler, 6, None) for sampler in ("pndm", "dpm++-2m", "unipc"))]
    if name == "pixels-pndm":
        # It draws squares alone, with PNDM alone.
        sizes = [(4, 4)]
        chosen = [(None, steps, None) for steps in (4, 7, 50)]
    made = []
    for i, (sampler, steps, eta) in enumerate(chosen):
        width, height = sizes[i % len(sizes)]
        request = {"task": task, "width": width, "height": height, "steps": steps, "guidance": 1, "sampler": sampler, "eta": eta}
        request |= {"seed": 100 * i + len(name), "prompt": "", "negative_prompt": None, "guidance_rescale": 0, "strength": 1}
        if task == "text-to-image":
            # Below 1 is guidance too.
            request |= {"prompt": "a large red sphere on the floor, " * (1 + 9 * (i % 2)), "guidance": 5 if steps == 1 else (2.5, 1, 0.4)[i % 3]}
        if task == "class-conditional":
            request |= {"class_label": 999 if name == "dit" and i == 3 else i % CLASSES, "guidance": (3, 1, 0)[i % 3]}
        if task == "layout-to-image":
            boxes = [[0.1, 0.2, 0.55, 0.9], [0, 0, 1, 1], [0.5, 0.35, 0.85, 0.4], [0.07, 0.61, 0.7, 0.99]]
            request["layout"] = [{"label": (3 * i + k) % CLASSES, "box": box} for k, box in enumerate(boxes[: i % 5])]
        made.append(request)
    return made


class Recorded:
    """A pipeline's scheduler and first stage, watched: its generator reaches every step, also where the pipeline forgets to pass it."""

    def __init__(self, scheduler, stage, generator):
        self.latent = self.pixels = None
        step = scheduler.step
        takes = inspect.signature(step).parameters

        @functools.wraps(step)
        def stepping(*given, **named):
            answer = step(*given, **{key: value for key, value in {**named, "generator": generator}.items() if key in takes})
            self.latent = answer.prev_sample
            return answer

        scheduler.step = stepping
        if stage:
            self.restore = (stage, stage.decode)
            decoding = stage.decode

            def decoded(z, **named):
                answer = decoding(z, **named)
                self.pixels = answer.sample
                return answer

            stage.decode = decoded

    def stop(self):
        if self.pixels is None:
            self.pixels = self.latent
        else:
            stage, decoding = self.restore
            stage.decode = decoding


def semantic_map(height: int, width: int, seed: int) -> torch.Tensor:
    """The tests make the same."""
    y, x = torch.arange(height)[:, None], torch.arange(width)[None]
    return ((3 * y * y // 7 + 5 * x + seed) % CLASSES)[None]


def draw(parts: Parts, name: str, request: dict) -> tuple[torch.Tensor, torch.Tensor]:
    cls, task, folders, own = MODELS[name]
    generator = torch.Generator("cpu").manual_seed(request["seed"])
    scheduler = scheduler_for(own, request["sampler"])
    steps, eta, height, width = request["steps"], request["eta"] or 0, request["height"], request["width"]
    key = folders["unet"].rpartition("-")[2]
    network = parts.unets[int(key) if key.isdigit() else key]
    stage = parts.kl if "vae_decoder" in folders else parts.vq if "vqvae_decoder" in folders else None
    settings = {"steps": steps, "eta": eta, "generator": generator}
    factor = 2 ** (len(stage.config.block_out_channels) - 1) if stage else 1

    if hasattr(diffusers, cls):
        watched = Recorded(scheduler, stage, generator)
        common = {"num_inference_steps": steps, "generator": generator, "output_type": "np"}
        if cls == "LDMTextToImagePipeline":
            pipeline = LDMTextToImagePipeline(vqvae=stage, bert=parts.bert.model, tokenizer=parts.tokenizer, unet=network, scheduler=scheduler)
            # It takes every first stage for one of f = 8.
            extra = {"prompt": request["prompt"], "guidance_scale": request["guidance"], "eta": eta, "height": height * 8 // factor, "width": width * 8 // factor}
        elif cls == "LDMSuperResolutionPipeline":
            pipeline = LDMSuperResolutionPipeline(vqvae=stage, unet=network, scheduler=scheduler)
            extra = {"image": picture(height // factor, width // factor, request["seed"] + 1), "eta": eta}
        elif cls == "LDMPipeline":
            pipeline, extra = LDMPipeline(vqvae=stage, unet=network, scheduler=scheduler), {"eta": eta}
        elif cls == "DiTPipeline":
            pipeline = DiTPipeline(transformer=network, vae=stage, scheduler=scheduler)
            extra = {"class_labels": [request["class_label"]], "guidance_scale": request["guidance"]}
        elif cls == "PNDMPipeline":
            pipeline, extra = PNDMPipeline(unet=network, scheduler=scheduler), {}
            watched = Recorded(pipeline.scheduler, None, generator)
        else:
            # Each of the two takes what the other is for.
            ddim = request["sampler"] == "ddim" or (cls == "DDIMPipeline" and request["sampler"] is None)
            made = DDIMPipeline if ddim else DDPMPipeline
            pipeline, extra = made(unet=network, scheduler=scheduler), {"eta": eta} if made is DDIMPipeline else {}
            if made is DDIMPipeline:
                # It makes a scheduler of its own.
                watched = Recorded(pipeline.scheduler, None, generator)
        pipeline.set_progress_bar_config(disable=True)
        if cls == "PNDMPipeline":
            network.register_to_config(sample_size=height)
        elif task == "unconditional":
            sized(network, [height // factor, width // factor])
        pipeline(**common, **extra)
        watched.stop()
        return watched.latent[:1], watched.pixels

    shape = (1, 3, height // factor, width // factor)
    if task == "inpainting":
        image = (picture(height, width, request["seed"] + 1) + 1) / 2
        latent, pixels = inpaint(network, stage, scheduler, image, masks(height, width, request["seed"] + 2), **settings)
        return latent, pixels * 2 - 1
    start = torch.randn(shape, generator=generator)
    if task == "class-conditional":
        classes = torch.tensor([request["class_label"], parts.class_embedder.config.unconditional_class])
        context, unconditional = parts.class_embedder(classes).split(1)
        latent = walk(network, scheduler, start, context=context, unconditional=unconditional, guidance=request["guidance"], **settings)
    elif task == "layout-to-image":
        context = parts.layout_encoder.model(parts.layout_tokens(request["layout"]), return_dict=True).last_hidden_state
        latent = walk(network, scheduler, start, context=context, **settings)
    else:
        one_hot = functional.one_hot(semantic_map(height, width, request["seed"]), CLASSES).permute(0, 3, 1, 2).float()
        latent = walk(network, scheduler, start, concat=(parts.spatial_rescaler(one_hot),), **settings)
    return latent, decode(stage, latent)


def sized(network, sides: list[int]) -> None:
    """Pictures are of the size of the training: the U-Net is told that it was another one. LDMPipeline knows squares only."""
    network.register_to_config(sample_size=sides)
    latent_diffusion_uncond.randn_tensor = lambda shape, **named: randn_tensor((*shape[:2], *sides), **named)


def near_tie(vq, latent: torch.Tensor, scale: float) -> float:
    """How much nearer the nearest code is than the next, at the worst place."""
    flat = (latent / scale).permute(0, 2, 3, 1).reshape(-1, latent.shape[1]).double()
    distances = torch.cdist(flat, vq.quantize.embedding.weight.double()).sort(1).values
    return (distances[:, 1] - distances[:, 0]).min().item()


@torch.no_grad()
def paper() -> None:
    parts = Parts()
    parts.export()
    models, drawn = {}, []
    for name, (cls, task, folders, scheduler) in MODELS.items():
        models[name] = {"class": cls, "parts": folders, "scheduler": saved(scheduler)}
        for request in requests(name, task):
            # Where two codes are nearly as near, a rounding decides: such pictures are of no use, their latents are.
            first = request["seed"]
            for seed in range(first, first + 12):
                request["seed"] = seed
                latent, pixels = draw(parts, name, request)
                scale = 1 if task == "super-resolution" else parts.vq.config.scaling_factor
                clear = "vqvae_decoder" not in folders or near_tie(parts.vq, latent, scale) > 5e-5 * latent.abs().max()
                if clear:
                    break
            drawn.append({
                "model": name, "request": request, "latent": sampled(latent, SAMPLES["latent"]),
                "pixels": sampled(pixels, SAMPLES["pixels"]) if clear else None,
            })
    keep(parts.target)
    write("paper.json", {"models": models, "samples": SAMPLES, "drawn": drawn})
