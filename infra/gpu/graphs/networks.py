"""The networks of the models that are measured, as their authors configured them; `tiny`: the same, but narrow and shallow."""

from functools import partial

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel, UNet2DModel, VQModel

WORDS = 77


def models(tiny: bool = False) -> dict[str, dict]:
    """By name: the pipeline's class, how each network is made, and the scheduler's own settings."""

    def wide(*channels: int) -> dict:
        first = 40 if channels[0] == 160 else 16  # Groups of five channels stay groups of five.
        narrow = tuple(first * width // channels[0] for width in channels)
        return {"block_out_channels": narrow if tiny else channels, "layers_per_block": 2, "norm_num_groups": 8 if tiny else 32}

    def of(count: int) -> int:
        return count // 16 if tiny else count

    def coder(kind: type, latent: int, channels: tuple[int, ...], **more):
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * len(channels), "up_block_types": ("UpDecoderBlock2D",) * len(channels)}
        return partial(kind, **wide(*channels), **blocks, latent_channels=latent, **more)

    # Stable Diffusion's; force_upcast says that it is one of those that were mended to run in half precision.
    kl_f8 = coder(AutoencoderKL, 4, (128, 256, 512, 512), sample_size=512, force_upcast=False)
    heads = 2 if tiny else 8
    unet_sd = partial(UNet2DConditionModel, **wide(320, 640, 1280, 1280), sample_size=64, attention_head_dim=heads)
    clip_l = partial(clip, of(768), of(3072), 2 if tiny else 12, heads=2 if tiny else 12, vocabulary=100 if tiny else 49408)
    linear = {"beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    schedule = partial(DDIMScheduler, **linear)

    return {
        # 169 M with its first stage: the paper's table 15; configs of CompVis/latent-diffusion, models/ldm/bsr_sr.
        "ldm-4-sr": {
            "class": "LDMSuperResolutionPipeline",
            "scheduler": partial(schedule, beta_start=0.0015, beta_end=0.0155),
            "unet": partial(
                UNet2DModel, **wide(160, 320, 320, 640), sample_size=64, in_channels=6, out_channels=3, attention_head_dim=8 if tiny else 32,
                down_block_types=("DownBlock2D",) * 3 + ("AttnDownBlock2D",), up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * 3,
            ),
            "vqvae": coder(VQModel, 3, (128, 256, 512), num_vq_embeddings=of(8192)),
        },
        # 395 M: table 14, LDM-8.
        "ldm-8-class": {
            "class": "LDMClassToImagePipeline",
            "scheduler": partial(schedule, beta_start=0.0015, beta_end=0.0195),
            "unet": partial(
                UNet2DConditionModel, **wide(256, 512, 1024), sample_size=32, attention_head_dim=2 if tiny else (8, 16, 32), cross_attention_dim=of(512),
                down_block_types=("CrossAttnDownBlock2D",) * 3, up_block_types=("CrossAttnUpBlock2D",) * 3,
            ),
            "vqvae": coder(VQModel, 4, (128, 256, 256, 512), num_vq_embeddings=of(16384)),
            "class_embedder": partial(ClassEmbedder, 1001, of(512)),
        },
        # 1.45 B with its BERT: models/ldm/text2img-large, KL-f8.
        "text2im": {
            "class": "LDMTextToImagePipeline",
            "scheduler": partial(schedule, beta_start=0.00085, beta_end=0.012),
            "unet": partial(unet_sd, sample_size=32, cross_attention_dim=of(1280)),
            "vqvae": kl_f8,
            "bert": partial(ldm_bert, of(1280), of(5120), 2 if tiny else 32, heads, 100 if tiny else 30522),
        },
        "sd-1.5": {
            "class": "StableDiffusionPipeline",
            "scheduler": partial(schedule, beta_start=0.00085, beta_end=0.012),
            "unet": partial(unet_sd, cross_attention_dim=of(768)),
            "vae": kl_f8,
            "text_encoder": clip_l,
        },
        "sdxl": {
            "class": "StableDiffusionXLPipeline",
            "scheduler": partial(schedule, beta_start=0.00085, beta_end=0.012),
            "unet": partial(
                UNet2DConditionModel, **wide(320, 640, 1280), sample_size=128, attention_head_dim=2 if tiny else (5, 10, 20), use_linear_projection=True,
                down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
                transformer_layers_per_block=(1, 1, 2) if tiny else (1, 2, 10), cross_attention_dim=of(2048), addition_embed_type="text_time",
                addition_time_embed_dim=of(256), projection_class_embeddings_input_dim=of(2816),
            ),
            "vae": partial(kl_f8, sample_size=1024, scaling_factor=0.13025),
            "text_encoder": clip_l,
            "text_encoder_2": partial(
                clip, of(1280), of(5120), 2 if tiny else 32, heads=2 if tiny else 20, vocabulary=100 if tiny else 49408, projection=of(1280)
            ),
        },
    }


def clip(width: int, inner: int, layers: int, heads: int, vocabulary: int, projection: int | None = None) -> torch.nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads, vocab_size=vocabulary,
        max_position_embeddings=WORDS, projection_dim=projection or width, bos_token_id=0, eos_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def ldm_bert(width: int, inner: int, layers: int, heads: int, vocabulary: int) -> torch.nn.Module:
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    config = LDMBertConfig(
        vocab_size=vocabulary, max_position_embeddings=WORDS, d_model=width, encoder_ffn_dim=inner, encoder_layers=layers,
        encoder_attention_heads=heads, head_dim=width // heads // 2, attn_implementation="eager",
    )
    return LDMBertModel(config)


class ClassEmbedder(torch.nn.Module):
    """A token for each class; the last one stands for none."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.embedding = torch.nn.Embedding(classes, width)

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        return self.embedding(labels)[:, None]
