"""A Stable Diffusion of 60,000 random weights, exported to ONNX, and what diffusers draws with it."""

import diffusers
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from export import export, scalar_timestep
from golden import fresh, keep, packed, write
from samplers import NAMES
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WORDS = "a an and blue cone cube floor grey large on red shiny small sphere the".split()


def tiny() -> None:
    folder = fresh("tiny")
    torch.manual_seed(0)

    tokenizer = tiny_tokenizer()
    text_encoder = BertModel(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=12, type_vocab_size=1,
        ),
        add_pooling_layer=False,
    ).eval()
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
        attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()
    vae = AutoencoderKL(
        block_out_channels=(4, 8), norm_num_groups=2, layers_per_block=1, sample_size=16, scaling_factor=0.5,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )
    # Random weights barely look at their input; louder ones make every input count.
    with torch.no_grad():
        for network in (text_encoder, unet, vae):
            for weight in network.parameters():
                if weight.dim() > 1:
                    weight.mul_(1.7)

    (folder / "model_index.json").write_text('{ "_class_name": "StableDiffusionPipeline" }\n')
    tokenizer.save_pretrained(folder / "tokenizer")
    scheduler.save_pretrained(folder / "scheduler")
    export(
        folder / "text_encoder", text_encoder, lambda ids: text_encoder(input_ids=ids).last_hidden_state,
        {"input_ids": (torch.zeros(2, 12, dtype=torch.int64), {0: "batch_size", 1: "sequence_length"})},
        "last_hidden_state",
    )
    space = {0: "batch_size", 2: "height", 3: "width"}
    export(
        folder / "unet", unet, lambda x, t, y: unet(x, t, y).sample,
        {
            "sample": (torch.zeros(2, 4, 8, 8), space),
            "timestep": (torch.tensor([1.0, 2.0]), {0: "batch_size"}),
            "encoder_hidden_states": (torch.zeros(2, 12, 16), {0: "batch_size", 1: "sequence_length"}),
        },
        "out_sample",
    )
    export(
        folder / "vae_decoder", vae, lambda z: vae.decode(z).sample, {"latent_sample": (torch.zeros(1, 4, 8, 8), space)},
        "sample",
    )
    scalar_timestep(folder)

    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    own = {"sampler": None, "eta": None}
    requests = [
        {"prompt": "a large red sphere on the floor", "negative_prompt": "", "guidance": 3, "steps": 6, "seed": 42, **own},
        {"prompt": "a blue cube", "negative_prompt": "shiny", "guidance": 7.5, "steps": 4, "seed": 7, **own},
        {"prompt": "a small cone and a zebra " * 4, "negative_prompt": "", "guidance": 1, "steps": 3, "seed": 4294967295, **own},
    ]
    drawn = [draw(pipeline, request, size) for request in requests for size in ((16, 16), (8, 24))]
    for seed, (name, (cls, overrides)) in enumerate(NAMES.items()):
        # From the file, as a GPU node reads it.
        saved = DDIMScheduler.from_pretrained(folder / "scheduler").config
        pipeline.scheduler = getattr(diffusers, cls).from_config(saved, **overrides)
        request = {"prompt": "a shiny green cone", "negative_prompt": "", "guidance": 2.5, "steps": 8, "seed": seed}
        drawn.append(draw(pipeline, {**request, "sampler": name, "eta": 0.7 if name == "ddim" else None}, (16, 16)))
    token_ids = {text: tokenizer(text, padding="max_length", truncation=True).input_ids for text in ("", "A  Red, sphere!", "red " * 20)}
    keep(folder)
    write("text-to-image.json", {"tokenIds": token_ids, "drawn": drawn})


def draw(pipeline: StableDiffusionPipeline, request: dict, size: tuple[int, int]) -> dict:
    width, height = size
    latent = pipeline(
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        guidance_scale=request["guidance"],
        num_inference_steps=request["steps"],
        eta=request["eta"] or 0,
        width=width,
        height=height,
        generator=torch.Generator("cpu").manual_seed(request["seed"]),
        output_type="latent",
    ).images
    with torch.no_grad():
        pixels = pipeline.vae.decode(latent / pipeline.vae.config.scaling_factor).sample
    whole = {"request": {**request, "width": width, "height": height}, "latent": packed(latent)}
    return {**whole, "pixels": packed(pixels.flatten()[:: width * height // 32])}


def tiny_tokenizer(pad: str = "[PAD]") -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [letter for c in "abcdefghijklmnopqrstuvwxyz," for letter in (c, f"##{c}")]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(special + WORDS + letters))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=12, unk_token="[UNK]", pad_token=pad, cls_token="[CLS]", sep_token="[SEP]"
    )
