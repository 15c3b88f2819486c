"""A Stable Diffusion as small as it gets, as each exporter would write it: what `npm run models -- add` must make one model of."""

import copy
import json
import shutil
from pathlib import Path

import onnx
import torch
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline, UNet2DConditionModel
from golden import folder as golden, fresh, keep, packed, write
from onnxruntime.quantization import quantize_dynamic
from stable_diffusion import picture
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SPACE = {0: "batch_size", 2: "height", 3: "width"}
BATCH = {0: "batch_size", 1: "sequence_length"}
# Optimum up to 1.17 left the channels free too.
FREE = {**SPACE, 1: "num_channels"}


def imports() -> None:
    folder = fresh("imports")
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(golden / "tokenizers" / "clip")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, attn_implementation="eager",
        )
    ).eval()
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2, cross_attention_dim=8, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"), mid_block_type=None,
    ).eval()
    vae = AutoencoderKL(
        block_out_channels=(4, 4), norm_num_groups=2, layers_per_block=1, sample_size=16, scaling_factor=0.5, mid_block_add_attention=False,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()
    # Random weights barely look at their input. Louder ones make every input count, the time and the text most of all.
    with torch.no_grad():
        for network in (text, unet, vae):
            for name, weight in network.named_parameters():
                if weight.dim() > 1:
                    weight.mul_(4 if "time_emb" in name or "attn2" in name else 1.7)
        answer = unet(torch.randn(8, 4, 8, 8), torch.linspace(1, 999, 8), torch.randn(8, 5, 8)).sample
        unet.conv_out.weight.mul_(1 / answer.std())

    # Optimum from 1.24 on, up to 1.23, and with --dtype fp16.
    export_unet(folder / "unet-scalar", unet, torch.tensor(1.0), {})
    export_unet(folder / "unet-int64", unet, torch.tensor([1, 2]), {"timestep": {0: "steps"}, "sample": FREE})
    export_unet(folder / "unet-half", half(unet), torch.tensor(1.0).half(), {})
    # torch's own exporter from 2.9 on, which notes the shapes of all values and calls equal ones the same.
    export_unet(folder / "unet-dynamo", unet, torch.tensor(1), {}, dynamo=True)
    export_unet(folder / "unet-dynamo-half", half(unet), torch.tensor(1.0).half(), {}, dynamo=True)
    # And after `optimum-cli onnxruntime quantize`.
    shutil.copytree(folder / "unet-scalar", folder / "unet-int8")
    quantize_dynamic(folder / "unet-scalar/model.onnx", folder / "unet-int8/model.onnx", op_types_to_quantize=["MatMul"])
    for name, encoder, ids in (("text_encoder", text, torch.int64), ("text_encoder-half", half(text), torch.int32)):
        export(
            folder / name, encoder, lambda ids, encoder=encoder: encoder(input_ids=ids).last_hidden_state,
            {"input_ids": torch.zeros(2, 77, dtype=ids)}, "last_hidden_state", {"input_ids": BATCH},
        )
    for name, decoder, space in (("vae_decoder", vae, SPACE), ("vae_decoder-half", half(vae), FREE)):
        z = torch.zeros(1, 4, 8, 8, dtype=decoder.dtype)
        export(folder / name, decoder, lambda z, decoder=decoder: decoder.decode(z).sample, {"latent_sample": z}, "sample", {"latent_sample": space})
    # Optimum up to 1.20 drew inside the graph.
    export(
        folder / "vae_encoder", vae, lambda image: vae.encode(image).latent_dist.sample(), {"sample": torch.zeros(1, 3, 16, 16)}, "latent_sample",
        {"sample": SPACE},
    )

    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1,
        timestep_spacing="linspace",  # So that Euler's timesteps are fractions.
    )
    scheduler.save_pretrained(folder / "scheduler")
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    drawn = []
    for seed, (prompt, guidance, sampler) in enumerate((("a photo of a cat", 1, None), ("the sea at night", 3, None), ("a red house", 3, "euler"))):
        pipeline.scheduler = EulerDiscreteScheduler.from_config(scheduler.config) if sampler else scheduler
        latent = pipeline(
            prompt=prompt, guidance_scale=guidance, num_inference_steps=7, width=16, height=16, output_type="latent",
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images
        with torch.no_grad():
            pixels = vae.decode(latent / vae.config.scaling_factor).sample
        request = {"prompt": prompt, "guidance": guidance, "sampler": sampler, "steps": 7, "width": 16, "height": 16, "seed": seed}
        drawn.append({"request": request, "latent": packed(latent), "pixels": packed(pixels)})
    # Of an image, with the encoder that draws inside its graph: here as the seed has it.
    pipeline = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler
    latent = pipeline(
        prompt="a red house", image=picture(16, 24, 4), strength=0.6, guidance_scale=3, num_inference_steps=7, output_type="latent",
        generator=torch.Generator("cpu").manual_seed(3),
    ).images
    keep(folder)
    write("imports.json", {"drawn": drawn, "fromImage": packed(latent)})


def half(network: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(network).half()


def export_unet(folder: Path, unet: UNet2DConditionModel, timestep: torch.Tensor, axes: dict, dynamo=False) -> None:
    inputs = {
        "sample": torch.zeros(2, 4, 8, 16 if dynamo else 8, dtype=unet.dtype), "timestep": timestep, "encoder_hidden_states": torch.zeros(2, 77, 8, dtype=unet.dtype)
    }
    forward = lambda x, t, y: unet(x, t, y, return_dict=False)[0]  # noqa: E731
    export(folder, unet, forward, inputs, "out_sample", {"sample": SPACE, "encoder_hidden_states": BATCH, **axes}, dynamo)


def free(axes: dict | None) -> dict | None:
    return axes and {axis: torch.export.Dim.AUTO for axis in axes}


def export(folder: Path, network: torch.nn.Module, forward, inputs: dict, output: str, axes: dict, dynamo=False) -> None:
    """As the tracer leaves it, with shorter names: an optimised graph would no longer have what the importer must find."""

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, *arguments):
            return forward(*arguments)

    folder.mkdir(parents=True)
    config = network.config
    (folder / "config.json").write_text(config.to_json_string() if hasattr(config, "to_json_string") else json.dumps(dict(config), indent=2) + "\n")
    file = folder / "model.onnx"
    torch.onnx.export(
        Wrapped().eval(), tuple(inputs.values()), file, input_names=list(inputs), output_names=[output], dynamo=dynamo, verbose=False,
        **({"dynamic_shapes": {"arguments": tuple(free(axes.get(name)) for name in inputs)}, "external_data": False} if dynamo else {"dynamic_axes": axes, "opset_version": 17}),
    )
    model = onnx.load(file)
    kept = {*inputs, output, ""}
    short = {}
    rename = lambda name: name if name in kept else short.setdefault(name, f"v{len(short):x}")  # noqa: E731
    for weight in model.graph.initializer:
        weight.name = rename(weight.name)
    for value in model.graph.value_info:
        value.name = rename(value.name)
    for noting in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info, *model.graph.input, *model.graph.output):
        noting.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("name")
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    onnx.save(model, file)
