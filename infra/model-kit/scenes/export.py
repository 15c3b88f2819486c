"""Writes the diffusers folder as ONNX in Optimum's layout, checks it against torch and swaps it into place.

    text_encoder  input_ids int64 [B, S], of a prompt worded freely         → last_hidden_state [B, 32, 128]
    unet          sample [B, 4, H/8, W/8], timestep [B], encoder_hidden_states [B, S, 128] → out_sample
    vae_encoder   sample [B, 3, H, W] in [-1, 1]                           → latent_parameters [B, 8, H/8, W/8]
    vae_decoder   latent_sample [B, 4, H/8, W/8]                           → sample [B, 3, H, W]

`timestep` is one number per row (the legacy tracer keeps it so), which lets a server mix pictures at different steps in
one batch. Batch, height and width are dynamic. H and W must be multiples of 32.
"""

import json
import shutil
import warnings
from pathlib import Path

import diffusers
import numpy as np
import onnx
import onnxruntime
import torch
from diffusers import StableDiffusionPipeline
from torch import nn
from transformers import PreTrainedTokenizerFast

from . import translator
from .denoiser import plain_attention
from .paths import MODEL, PIPELINE, WORK
from .storage import store

STAGING = WORK / "export"


class _Unet(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.model(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class Encoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.encoder, self.quant = vae.encoder, vae.quant_conv

    def forward(self, sample):
        return self.quant(self.encoder(sample))


class Decoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.decoder, self.quant = vae.decoder, vae.post_quant_conv

    def forward(self, latent_sample):
        return self.decoder(self.quant(latent_sample))


def text_graph(reader: translator.Reader, text_encoder) -> tuple:
    """As `graphs` has it."""
    return (translator.Text(reader, text_encoder), (torch.randint(4, 40, (3, 21)),), ["input_ids"], "last_hidden_state",
            {"input_ids": {0: "batch_size", 1: "sequence_length"}, "last_hidden_state": {0: "batch_size"}})


def graphs(pipe, reader: translator.Reader) -> dict:
    """name → (module, example inputs, input names, output name, axes names). Odd example sizes keep axes apart."""
    picture, latent = {0: "batch_size", 2: "height", 3: "width"}, torch.randn(3, 4, 16, 24)
    context = torch.randn(3, 32, pipe.text_encoder.config.hidden_size)
    return {
        "text_encoder": text_graph(reader, pipe.text_encoder),
        "unet": (_Unet(pipe.unet), (latent, torch.tensor([999.0, 500.0, 3.0]), context),
                 ["sample", "timestep", "encoder_hidden_states"], "out_sample",
                 {"sample": picture, "timestep": {0: "batch_size"}, "encoder_hidden_states": {0: "batch_size", 1: "sequence_length"}, "out_sample": picture}),
        "vae_encoder": (Encoder(pipe.vae), (torch.randn(3, 3, 64, 96),), ["sample"], "latent_parameters",
                        {"sample": picture, "latent_parameters": {0: "batch_size", 2: "latent_height", 3: "latent_width"}}),
        "vae_decoder": (Decoder(pipe.vae), (latent,), ["latent_sample"], "sample",
                        {"latent_sample": {0: "batch_size", 2: "latent_height", 3: "latent_width"}, "sample": picture}),
    }


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _worst(path: Path, names: list, inputs: tuple, expected: torch.Tensor) -> float:
    got = session(path).run(None, {name: value.numpy() for name, value in zip(names, inputs)})[0]
    return float(np.abs(got - expected.numpy()).max())


def write_graph(folder: Path, module: nn.Module, inputs: tuple, names: list, output: str, axes: dict) -> None:
    """One graph, checked twice: as traced (≤ 1e-4 of torch) and as stored."""
    folder.mkdir(parents=True)
    path = folder / "model.onnx"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = module.eval()(*inputs)
        torch.onnx.export(module, inputs, str(path), input_names=names, output_names=[output], dynamic_axes=axes,
                          opset_version=17, do_constant_folding=True, dynamo=False)
    traced = _worst(path, names, inputs, expected)
    onnx.save(store(onnx.load(path)), path)
    stored = _worst(path, names, inputs, expected)
    print(f"{folder.name:13} {path.stat().st_size / 2**20:6.2f} MiB   largest error {traced:.1e} traced, {stored:.1e} stored"
          f"   (outputs up to {expected.abs().max():.1f})")
    if traced > 1e-4:
        raise SystemExit(f"{folder.name}: the ONNX graph is off by {traced:.1e}, expected at most 1e-4")


def _check_rows(unet: Path) -> None:
    """Two timesteps in one batch must give what each gives alone, also at another size."""
    net = session(unet)
    x, context = np.random.randn(2, 4, 32, 20).astype("float32"), np.random.randn(2, 32, 128).astype("float32")
    t = np.array([900, 40], np.float32)
    both = net.run(None, {"sample": x, "timestep": t, "encoder_hidden_states": context})[0]
    for row in range(2):
        one = slice(row, row + 1)
        alone = net.run(None, {"sample": x[one], "timestep": t[one], "encoder_hidden_states": context[one]})[0]
        assert np.abs(alone - both[one]).max() < 1e-4, "timestep is not per row"


def write_tokenizer(folder: Path, words: PreTrainedTokenizerFast) -> None:
    words.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    for key in ("is_local", "local_files_only", "backend"):
        settings.pop(key, None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that transformers 4 and 5 both know
    path.write_text(json.dumps(settings, indent=2) + "\n")
    numbered = sorted(words.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("\n".join(word for word, _ in numbered) + "\n")
    special = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("cls", "pad", "sep", "unk")}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")


def write_text_encoder(folder: Path, reader: translator.Reader, words: PreTrainedTokenizerFast, text_encoder) -> None:
    """The translator and τθ as one."""
    module, *rest = text_graph(reader, text_encoder)
    write_graph(folder, module, *rest)
    # One prompt, padded: another size than that of the trace.
    check_alone(folder / "model.onnx", module, nn.functional.pad(torch.randint(4, 40, (1, 9)), (0, translator.LENGTH - 9)))
    _text_config(folder, words, text_encoder)


def check_alone(graph: Path, module: nn.Module, row: torch.Tensor) -> None:
    """A graph of one input must give one row what torch gives it: the tracer may have taken its example's batch for all."""
    with torch.no_grad():
        expected = module(row).numpy()
    net = session(graph)
    got = net.run(None, {net.get_inputs()[0].name: row.numpy()})[0]
    assert got.shape == expected.shape and np.abs(got - expected).max() < 0.1, f"{graph.parent.name}: the graph depends on the size of the batch"


def _text_config(folder: Path, words: PreTrainedTokenizerFast, text_encoder) -> None:
    known = json.loads(text_encoder.config.to_json_string())
    known = {key: value for key, value in known.items() if key not in ("architectures", "dtype")}  # which a folder adds
    write_config(folder, known | {"vocab_size": len(words), "max_position_embeddings": translator.LENGTH})


def _configs(pipe, words: PreTrainedTokenizerFast) -> None:
    """The JSON files beside the graphs, as Optimum writes them."""
    pipe.scheduler.save_pretrained(STAGING / "scheduler")
    write_tokenizer(STAGING / "tokenizer", words)
    _text_config(STAGING / "text_encoder", words, pipe.text_encoder)
    for name, model in {"unet": pipe.unet, "vae_encoder": pipe.vae, "vae_decoder": pipe.vae}.items():
        model.save_config(STAGING / name)
        write_config(STAGING / name, json.loads((STAGING / name / "config.json").read_text()))
    onnx_model = ["diffusers", "OnnxRuntimeModel"]
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": diffusers.__version__,
             "feature_extractor": [None, None], "requires_safety_checker": False, "safety_checker": [None, None],
             "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": onnx_model,
             "tokenizer": ["transformers", "PreTrainedTokenizerFast"], "unet": onnx_model, "vae_decoder": onnx_model, "vae_encoder": onnx_model}
    (STAGING / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def export(untrained: bool = False, destination: Path = MODEL) -> None:
    torch.manual_seed(0)
    reader, words = translator.build(translator.vocabulary()) if untrained else translator.load()
    pipe = StableDiffusionPipeline.from_pretrained(PIPELINE, safety_checker=None)
    plain_attention(pipe.unet)
    pipe.text_encoder.set_attn_implementation("eager")  # as it was trained; a folder does not say so
    shutil.rmtree(STAGING, ignore_errors=True)
    for name, graph in graphs(pipe, reader).items():
        write_graph(STAGING / name, *graph)
    _check_rows(STAGING / "unet" / "model.onnx")
    _configs(pipe, words)
    replace(destination)


def write_config(folder: Path, config: dict) -> None:
    """config.json without a path on the machine that exported."""
    kept = {key: value for key, value in config.items() if key != "_name_or_path"}
    (folder / "config.json").write_text(json.dumps(kept, indent=2) + "\n")


def replace(destination: Path) -> None:
    """Puts what was staged in the place of a shipped model."""
    # The model card is written by hand, darkroom.json measured by `npm run models -- add`.
    for kept in ("README.md", "darkroom.json"):
        if (destination / kept).exists():
            shutil.copy(destination / kept, STAGING / kept)
    size = sum(path.stat().st_size for path in STAGING.rglob("*") if path.is_file())
    print(f"{size / 2**20:.1f} MiB in all")
    # Whoever reads the folder meanwhile finds the old model or the new one, never half of each.
    old = WORK / "replaced"
    shutil.rmtree(old, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    if destination.exists():
        destination.rename(old)
    STAGING.rename(destination)
