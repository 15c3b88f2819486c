"""Makes the golden files beside it from the reference implementations:

    python worker-gpu/golden/make.py && npx biome format --write worker-gpu/golden

torch 2.13, diffusers 0.42.1, transformers 5.23, onnx 1.23 (infra/model-kit/requirements.txt). Tests read what it writes:
noise.json, ddim.json, and tiny/, a Stable Diffusion of 60,000 random weights with what diffusers draws with it.
"""

import hashlib
import json
import shutil
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

here = Path(__file__).parent
command = "python worker-gpu/golden/make.py"
warnings.filterwarnings("ignore")


def write(name: str, content: dict) -> None:
    versions = {"torch": torch.__version__}
    (here / name).write_text(json.dumps({"command": command, **versions, **content}, indent="\t") + "\n")


def floats(tensor: torch.Tensor) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def noise() -> None:
    seeds = [0, 1, 42, 123456789, 4294967295]
    sizes = [*range(1, 71), 1024, 4099, 300007]

    def randn(size: int, seed: int) -> torch.Tensor:
        return torch.randn(size, generator=torch.Generator("cpu").manual_seed(seed))

    def digest(size: int) -> str:
        return hashlib.md5(b"".join(randn(size, seed).numpy().tobytes() for seed in seeds)).hexdigest()

    # One generator through draws of both kinds: below 16 values a second normal is kept for the next call.
    generator = torch.Generator("cpu").manual_seed(7)
    in_a_row = [floats(torch.randn(size, generator=generator)) for size in (3, 1, 20, 5, 17, 4)]
    write(
        "noise.json",
        {
            "seeds": seeds,
            "md5OfSize": {str(size): digest(size) for size in sizes},
            "values": {"3": floats(randn(3, 42)), "17": floats(randn(17, 42))},
            "inARow": in_a_row,
        },
    )


def ddim() -> None:
    stable_diffusion = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    configs = [
        {},
        {**stable_diffusion, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1},
        {**stable_diffusion, "clip_sample": False, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
        {**stable_diffusion, "clip_sample_range": 2.0, "prediction_type": "sample", "timestep_spacing": "linspace"},
        {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"},
        {"num_train_timesteps": 4, "trained_betas": [0.1, 0.2, 0.3, 0.4], "clip_sample": False},
    ]
    start = torch.linspace(-2, 2, 8).reshape(1, 2, 2, 2)
    runs = []
    for config in configs:
        for steps in (1, 3, 25):
            if steps > config.get("num_train_timesteps", 1000):
                continue
            scheduler = DDIMScheduler(**config)
            scheduler.set_timesteps(steps)
            x = start
            for t in scheduler.timesteps:
                # Stands for the network: a function that the test can repeat.
                output = 0.5 * x + t / 1000
                step = scheduler.step(output, t, x)
                x, x0 = step.prev_sample, step.pred_original_sample
            saved = dict(scheduler.config) | {"_class_name": "DDIMScheduler", "_diffusers_version": "0.42.1"}
            run = {"config": saved, "steps": steps, "timesteps": scheduler.timesteps.tolist()}
            runs.append({**run, "x": floats(x), "x0": floats(x0)})
    write("ddim.json", {"start": floats(start), "runs": runs})


WORDS = "a an and blue cone cube floor grey large on red shiny small sphere the".split()


def tiny() -> None:
    folder = here / "tiny"
    shutil.rmtree(folder, ignore_errors=True)
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
    requests = [
        {"prompt": "a large red sphere on the floor", "negative_prompt": "", "guidance": 3, "steps": 6, "seed": 42},
        {"prompt": "a blue cube", "negative_prompt": "shiny", "guidance": 7.5, "steps": 4, "seed": 7},
        {"prompt": "a small cone and a zebra " * 4, "negative_prompt": "", "guidance": 1, "steps": 3, "seed": 4294967295},
    ]
    drawn = []
    for request in requests:
        for width, height in ((16, 16), (8, 24)):
            arguments = {
                "prompt": request["prompt"],
                "negative_prompt": request["negative_prompt"],
                "guidance_scale": request["guidance"],
                "num_inference_steps": request["steps"],
                "width": width,
                "height": height,
            }
            generator = torch.Generator("cpu").manual_seed(request["seed"])
            latent = pipeline(**arguments, generator=generator, output_type="latent").images
            pixels = vae.decode(latent / vae.config.scaling_factor).sample.detach()
            whole = {"request": {**request, "width": width, "height": height}, "latent": floats(latent)}
            drawn.append({**whole, "pixels": floats(pixels)[:: width * height // 32]})
    token_ids = {text: tokenizer(text, padding="max_length", truncation=True).input_ids for text in ("", "A  Red, sphere!", "red " * 20)}
    write("text-to-image.json", {"tokenIds": token_ids, "drawn": drawn})


def tiny_tokenizer() -> PreTrainedTokenizerFast:
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
        tokenizer_object=tokenizer, model_max_length=12, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )


def export(folder: Path, network: torch.nn.Module, forward, inputs: dict, output: str) -> None:
    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, *arguments):
            return forward(*arguments)

    if hasattr(network, "save_config"):
        network.save_config(folder)
    else:
        network.config.save_pretrained(folder)
    torch.onnx.export(
        Wrapped().eval(),
        tuple(example for example, _ in inputs.values()),
        folder / "model.onnx",
        input_names=list(inputs),
        output_names=[output],
        dynamic_axes={name: axes for name, (_, axes) in inputs.items()},
        opset_version=17,
        dynamo=False,
    )
    shrink(folder / "model.onnx")


def shrink(file: Path) -> None:
    """Folds constants, which are most of an export's nodes, and drops the names of what is left."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(file)
    onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    model = onnx.load(file)
    for node in model.graph.node:
        node.ClearField("name")
    onnx.save(model, file)


def scalar_timestep(folder: Path) -> None:
    """A U-Net whose timestep is a scalar, as Optimum 1.24 and later export it. Only its signature matters."""
    shape = ["batch_size", 4, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["sample"], ["out_sample"])],
        "unet",
        [
            helper.make_tensor_value_info("sample", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("timestep", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("encoder_hidden_states", TensorProto.FLOAT, ["batch_size", "sequence_length", 16]),
        ],
        [helper.make_tensor_value_info("out_sample", TensorProto.FLOAT, shape)],
    )
    target = here / "scalar-timestep" / "unet"
    target.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), target / "model.onnx")
    shutil.copy(folder / "unet" / "config.json", target / "config.json")


noise()
ddim()
tiny()
