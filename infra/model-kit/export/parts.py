"""What is exported of each class of network: names of graphs, inputs and outputs as Darkroom reads them."""

import sys
from unittest.mock import patch

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.transformers import transformer_flux
from graph import export, gather

SPACE = {0: "batch_size", 2: "height", 3: "width"}
BATCH = {0: "batch_size"}
WORDS = {0: "batch_size", 1: "sequence_length"}


def attend_to_one(block, x, context):
    """
    A transformer block whose context is one token, which gets all attention, whatever is asked for: a softmax of one score is 1. What it says is added first,
    so that the other sum is followed by a norm, which ONNX Runtime has one operator for.
    """
    said = block.attn2.to_out[0](block.attn2.to_v(context))
    x = block.attn1(block.norm1(x)) + (x + said)
    return x + block.ff(block.norm3(x))


def unet_of_classes(folder, name, network):
    for block in network.modules():
        if isinstance(block, BasicTransformerBlock):
            block.forward = lambda x, block=block, *, encoder_hidden_states, **_: attend_to_one(block, x, encoder_hidden_states)
    unet_with_context(folder, name, network, tokens=1)


def unet_with_context(folder, name, network, time_ids=6, tokens=None):
    """
    `time_ids`: how many numbers SDXL's are; the refiner's are five. `tokens`: how many the context has, where that is always the same. Rows of a U-Net that
    a ControlNet was joined to have a map and a scale of their own: with 0 it draws as without.
    """
    config = network.config
    dtype = network.dtype
    # What it attends to may be projected inside.
    width = config.encoder_hid_dim or config.cross_attention_dim
    width = width if isinstance(width, int) else width[0]
    inputs = {
        "sample": (torch.randn(2, config.in_channels, 16, 16, dtype=dtype), SPACE),
        # One for each row: rows at different steps share a call.
        "timestep": (torch.tensor([1.0, 2.0]), BATCH),
        "encoder_hidden_states": (torch.randn(2, tokens or 7, width, dtype=dtype), BATCH if tokens else WORDS),
    }
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - time_ids * config.addition_time_embed_dim
        inputs["text_embeds"] = (torch.randn(2, pooled, dtype=dtype), BATCH)
        inputs["time_ids"] = (torch.randn(2, time_ids, dtype=dtype), BATCH)
    if config.time_cond_proj_dim:
        inputs["timestep_cond"] = (torch.randn(2, config.time_cond_proj_dim, dtype=dtype), BATCH)
    if config.num_class_embeds:
        inputs["class_labels"] = (torch.zeros(2, dtype=torch.int64), BATCH)
    control = getattr(network, "controlnet", None)
    if control:
        side = 16 * 2 ** (len(control.config.conditioning_embedding_out_channels) - 1)
        # 0 to 1, as large as the picture.
        inputs["controlnet_cond"] = (torch.rand(2, 3, side, side, dtype=dtype), {0: "batch_size", 2: "map_height", 3: "map_width"})
        # As the timestep, in float32 whatever the weights are.
        inputs["conditioning_scale"] = (torch.tensor([1.0, 0.5]), BATCH)
    names = list(inputs)[3:]

    def forward(x, t, y, *rest):
        more = dict(zip(names, rest))
        added = {key: more.pop(key) for key in ("text_embeds", "time_ids") if key in more} or None
        if control:
            more |= steer(control, x, t, y, added, more.pop("controlnet_cond"), more.pop("conditioning_scale"))
        return network(x, t, y, added_cond_kwargs=added, **more).sample

    export(folder / name, network, forward, inputs, "out_sample")
    gather(folder / name)


def steer(control, x, t, y, added, cond, scale):
    """What a ControlNet gives its U-Net more. x [B, C, h, w], of which a ControlNet sees the latent alone; cond [B, 3, H, W], 0 to 1; scale [B]."""
    down, middle = control(x[:, : control.config.in_channels], t, y, controlnet_cond=cond, added_cond_kwargs=added, return_dict=False)
    scale = scale.to(x.dtype).view(-1, 1, 1, 1)
    return {"down_block_additional_residuals": [residual * scale for residual in down], "mid_block_additional_residual": middle * scale}


def unet(folder, name, network):
    if network.config.num_class_embeds or network.config.class_embed_type:
        sys.exit(f"{name}/config.json: expected num_class_embeds and class_embed_type of null, for no pipeline of diffusers' tells a UNet2DModel its class")
    inputs = {
        "sample": (torch.randn(2, network.config.in_channels, 16, 16, dtype=network.dtype), SPACE),
        "timestep": (torch.tensor([1.0, 2.0]), BATCH),
    }
    export(folder / name, network, lambda x, t: network(x, t).sample, inputs, "out_sample")
    gather(folder / name)


def dit(folder, name, network):
    """In the U-Net's place, with its ports. Its places are of one size, and the variance that it answers too has no sampler."""
    config = network.config
    channels, side = config.in_channels, config.sample_size
    inputs = {
        "sample": (torch.randn(2, channels, side, side, dtype=network.dtype), BATCH),
        "timestep": (torch.tensor([1.0, 2.0]), BATCH),
        "class_labels": (torch.zeros(2, dtype=torch.int64), BATCH),
    }
    network.register_to_config(out_channels=channels)
    export(folder / "unet", network, lambda x, t, y: network(x, t, y).sample[:, :channels], inputs, "out_sample")
    gather(folder / "unet")


def sd3(folder, name, network):
    export(folder / name, network, *sd3_graph(network))
    gather(folder / name)


def sd3_graph(network):
    """
    Stable Diffusion 3's transformer: how it is called, with which inputs, and what it answers. Names are Optimum's, but every row has a timestep of its own, in
    float32: those of a flow are no whole numbers.
    """
    config, dtype = network.config, network.dtype
    inputs = {
        "hidden_states": (torch.randn(2, config.in_channels, 16, 16, dtype=dtype), SPACE),
        "encoder_hidden_states": (torch.randn(2, 7, config.joint_attention_dim, dtype=dtype), WORDS),
        "pooled_projections": (torch.randn(2, config.pooled_projection_dim, dtype=dtype), BATCH),
        "timestep": (torch.tensor([1.0, 2.0]), BATCH),
    }
    return lambda *given: network(*given).sample, inputs, "out_hidden_states"


def flux(folder, name, network):
    export(folder / name, network, *flux_graph(network))
    gather(folder / name)


def flux_graph(network):
    """The same of FLUX's."""
    config, dtype = network.config, network.dtype
    inputs = {
        "hidden_states": (torch.randn(2, 16, config.in_channels, dtype=dtype), {0: "batch_size", 1: "packed_height_width"}),
        "encoder_hidden_states": (torch.randn(2, 12, config.joint_attention_dim, dtype=dtype), WORDS),
        "pooled_projections": (torch.randn(2, config.pooled_projection_dim, dtype=dtype), BATCH),
        # One for each row, from 0 to 1; in float32, as the guidance, whatever the weights are.
        "timestep": (torch.tensor([0.5, 1.0]), BATCH),
        "img_ids": (torch.zeros(16, 3, dtype=dtype), {0: "packed_height_width"}),
        "txt_ids": (torch.zeros(12, 3, dtype=dtype), {0: "sequence_length"}),
    }
    if config.guidance_embeds:
        inputs["guidance"] = (torch.tensor([3.5, 1.0]), BATCH)

    embed = network.time_text_embed

    def forward(*given):
        told = dict(zip(inputs, given))

        def embed_exactly(*rounded):
            # diffusers rounds both to the weights' type before it multiplies them: in float16 that moves the fastest of their sines by up to half a radian.
            scaled = (told[name] * 1000 for name in ("timestep", "guidance") if name in told)
            return type(embed).forward(embed, *scaled, rounded[-1])

        # The tracer takes the lengths of the examples for those of all, where diffusers turns pairs of numbers.
        with patch.object(embed, "forward", embed_exactly), patch.object(transformer_flux, "apply_rotary_emb", turned):
            return network(*given, return_dict=False)[0]

    return forward, inputs, "out_hidden_states"


def turned(x, turns, **_):
    """Rotary embeddings: x [B, L, heads, D], cosines and sines [L, D]."""
    cos, sin = (part[None, :, None] for part in turns)
    turned = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(3)
    return (x.float() * cos + turned.float() * sin).to(x.dtype)


def autoencoder_kl(folder, name, network):
    """Whatever the pipeline calls it: the moments of what is encoded, for what is drawn inside a graph no seed reaches."""
    coder(folder, "vae", network, lambda x: network.encode(x).latent_dist.parameters, "latent_parameters")


def autoencoder_tiny(folder, name, network):
    """What it encodes is no distribution: config.json says by its class that no noise is drawn inside."""
    coder(folder, "vae", network, lambda x: network.encode(x).latents, "latent_sample")


def vq_model(folder, name, network):
    coder(folder, "vqvae", network, lambda x: network.encode(x).latents, "latent_sample")


def coder(folder, name, network, encode, encoded):
    config = network.config
    side = 2 ** (len(config.block_out_channels) + 2)
    image = torch.randn(1, config.in_channels, side, side, dtype=network.dtype)
    # A codebook's entries may have more or fewer numbers than what the encoder says.
    channels = config.get("vq_embed_dim") or config.latent_channels
    latent = torch.randn(1, channels, 8, 8, dtype=network.dtype)
    export(folder / f"{name}_encoder", network, encode, {"sample": (image, SPACE)}, encoded)
    export(folder / f"{name}_decoder", network, lambda z: network.decode(z).sample, {"latent_sample": (latent, SPACE)}, "sample")
    for graph in ("encoder", "decoder"):
        gather(folder / f"{name}_{graph}")


def text_encoder(folder, name, network, length):
    """Every layer's output, which SDXL reads; for CLIP that of the whole text, too, where it has a projection, or without, which FLUX is told."""
    config = network.config
    # The other one is traced with a mask of float32, which half-precision graphs do not load with.
    network.set_attn_implementation("eager")
    ids = {"input_ids": (torch.zeros(2, length, dtype=torch.int64), WORDS)}
    own = {"CLIPTextModel": ["last_hidden_state", "pooler_output"], "CLIPTextModelWithProjection": ["text_embeds"]}
    first = own.get(type(network).__name__, ["last_hidden_state"])

    def forward(ids):
        answer = network(input_ids=ids, output_hidden_states=True, return_dict=True)
        return (*(answer[output] for output in first), *answer.hidden_states)

    outputs = [*first, *(f"hidden_states.{i}" for i in range(config.num_hidden_layers + 1))]
    export(folder / name, network, forward, ids, outputs)
    gather(folder / name)


def t5_encoder(folder, name, network, length):
    for block in network.modules():
        if hasattr(block, "wo"):
            # In float16 it overflows; the reference, too, keeps it so.
            block.wo.float()
    ids = {"input_ids": (torch.zeros(2, length, dtype=torch.int64), WORDS)}
    export(folder / name, network, lambda ids: network(input_ids=ids).last_hidden_state, ids, "last_hidden_state")
    gather(folder / name)


def ldm_bert(folder, name, network, length):
    ids = {"input_ids": (torch.zeros(2, length, dtype=torch.int64), BATCH)}
    export(folder / name, network, lambda ids: network.model(ids, return_dict=True).last_hidden_state, ids, "last_hidden_state")
    gather(folder / name)


NETWORKS = {
    "UNet2DConditionModel": unet_with_context,
    "UNet2DModel": unet,
    "DiTTransformer2DModel": dit,
    # As DiT's were called.
    "Transformer2DModel": dit,
    "SD3Transformer2DModel": sd3,
    "FluxTransformer2DModel": flux,
    "AutoencoderKL": autoencoder_kl,
    "AsymmetricAutoencoderKL": autoencoder_kl,
    "AutoencoderTiny": autoencoder_tiny,
    "VQModel": vq_model,
}
TEXT = {"CLIPTextModel": text_encoder, "CLIPTextModelWithProjection": text_encoder, "BertModel": text_encoder, "LDMBertModel": ldm_bert, "T5EncoderModel": t5_encoder}


def exporter(network, pipeline: str):
    """What writes a network of diffusers', but for text encoders, in the way that the class of its pipeline allows."""
    of_classes = pipeline == "LDMClassToImagePipeline" and isinstance(network, UNet2DConditionModel)
    return unet_of_classes if of_classes else NETWORKS[type(network).__name__]
