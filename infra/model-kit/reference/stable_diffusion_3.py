"""Stable Diffusion 3 with tiny networks of random weights, exported, and what diffusers draws with them."""

import diffusers
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from export import export
from flows import CLASSES, draw, requests, write_all
from golden import fresh
from parts import WORDS as TEXT
from parts import sd3_graph
from stable_diffusion import HIDDEN, LENGTH, PROJECTION, SPACE, loud, read, text_encoder
from tiny import WORDS, tiny_tokenizer
from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5Tokenizer

WIDTHS = (8, 4)
JOINT = 16


def t5_tokenizer() -> T5Tokenizer:
    """Words and letters, of which words are likelier."""
    letters = [(letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0), *letters, *((f"▁{word}", -3.0) for word in WORDS)]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)


def t5(tokenizer: T5Tokenizer, width: int) -> T5EncoderModel:
    return loud(
        T5EncoderModel(
            T5Config(
                vocab_size=len(tokenizer), d_model=width, d_kv=3, d_ff=8, num_layers=2, num_heads=2, relative_attention_num_buckets=8,
                relative_attention_max_distance=32, feed_forward_proj="gated-gelu", is_encoder_decoder=False,
            )
        ).eval()
    )


def transformer(**more) -> SD3Transformer2DModel:
    network = SD3Transformer2DModel(
        sample_size=8, patch_size=2, num_layers=2, attention_head_dim=4, num_attention_heads=2, joint_attention_dim=JOINT, caption_projection_dim=8,
        pooled_projection_dim=2 * PROJECTION, pos_embed_max_size=8, **more,
    ).eval()
    heard = ("time_text_embed", "context_embedder", "pos_embed.proj", "add_")
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            weight.mul_(3 if any(part in name for part in heard) else 1.5)
    # An answer of about unit variance, as what it stands for, noise less picture.
    generator = torch.Generator().manual_seed(0)
    x, y, pooled = (torch.randn(8, *shape, generator=generator) for shape in ((16, 8, 8), (5, JOINT), (2 * PROJECTION,)))
    answer = network(x, y, pooled, torch.linspace(1, 999, 8)).sample
    network.proj_out.weight.mul_(1 / answer.std())
    return network


class Parts:
    def __init__(self):
        torch.manual_seed(0)
        self.tokenizer = tiny_tokenizer()
        self.tokenizer_2 = tiny_tokenizer(pad="a")
        self.text_encoder, self.text_encoder_2 = (
            text_encoder(CLIPTextModelWithProjection, tokenizer, width) for tokenizer, width in zip((self.tokenizer, self.tokenizer_2), WIDTHS)
        )
        self.vae = AutoencoderKL(
            block_out_channels=(4, 4, 4), norm_num_groups=2, layers_per_block=1, latent_channels=16, sample_size=32, scaling_factor=1.2, shift_factor=0.06,
            use_quant_conv=False, use_post_quant_conv=False, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        ).eval()
        loud(self.vae)
        # That of Stable Diffusion 3, and that of 3.5.
        self.transformers = {"transformer": transformer(), "transformer-3.5": transformer(dual_attention_layers=(0,), qk_norm="rms_norm")}
        self.tokenizer_3 = t5_tokenizer()
        self.text_encoder_3 = t5(self.tokenizer_3, JOINT)

    def export(self) -> None:
        self.target = fresh("stable-diffusion-3")
        for name, network in self.transformers.items():
            export(self.target / name, network, *sd3_graph(network))
        ids = {"input_ids": (torch.zeros(2, LENGTH, dtype=torch.int64), TEXT)}
        for name in ("text_encoder", "text_encoder_2"):
            encoder = getattr(self, name)
            export(self.target / name, encoder, lambda *given, encoder=encoder: read("text_embeds")(encoder, *given), ids, ["text_embeds", *HIDDEN])
        export(self.target / "text_encoder_3", self.text_encoder_3, lambda ids: self.text_encoder_3(input_ids=ids).last_hidden_state, ids, "last_hidden_state")
        latent, image = {"latent_sample": (torch.zeros(1, 16, 8, 8), SPACE)}, {"sample": (torch.zeros(1, 3, 32, 32), SPACE)}
        export(self.target / "vae_decoder", self.vae, lambda z: self.vae.decode(z).sample, latent, "sample")
        export(self.target / "vae_encoder", self.vae, lambda x: self.vae.encode(x).latent_dist.parameters, image, "latent_parameters")


def folders(transformer: str) -> dict:
    names = ("text_encoder", "text_encoder_2", "vae_decoder", "vae_encoder")
    return {
        "tokenizer": "tiny/tokenizer", "tokenizer_2": "stable-diffusion/tokenizer_2", "transformer": f"stable-diffusion-3/{transformer}",
        **{name: f"stable-diffusion-3/{name}" for name in names},
    }


SHIFTED = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
T5 = {"text_encoder_3": "stable-diffusion-3/text_encoder_3", "tokenizer_3": "flux/tokenizer_2"}
DYNAMIC = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True, "base_image_seq_len": 8, "max_image_seq_len": 64, "max_shift": 2.0}
MODELS = {
    "sd3": ("StableDiffusion3Pipeline", folders("transformer"), SHIFTED),
    "sd3-t5": ("StableDiffusion3Pipeline", {**folders("transformer"), **T5}, SHIFTED),
    "sd3.5": ("StableDiffusion3Img2ImgPipeline", folders("transformer-3.5"), DYNAMIC),
}


def latent(parts: Parts, name: str, request: dict) -> torch.Tensor:
    _, files, scheduler = MODELS[name]
    pipeline = getattr(diffusers, f"StableDiffusion3{CLASSES[request['task']]}Pipeline")(
        transformer=parts.transformers[files["transformer"].split("/")[1]], scheduler=FlowMatchEulerDiscreteScheduler.from_config(scheduler), vae=parts.vae,
        text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, text_encoder_2=parts.text_encoder_2, tokenizer_2=parts.tokenizer_2,
        **({"text_encoder_3": parts.text_encoder_3, "tokenizer_3": parts.tokenizer_3} if "text_encoder_3" in files else {"text_encoder_3": None, "tokenizer_3": None}),
    )
    return draw(pipeline, request, negative_prompt=request["negative_prompt"], guidance_scale=request["guidance"])


@torch.no_grad()
def stable_diffusion_3() -> None:
    write_all("stable-diffusion-3.json", Parts(), MODELS, lambda _: requests((6, 1, 20, 5), (3, 7.5, 1, 2.5), seed=7), latent)
