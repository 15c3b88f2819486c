"""The shipped ONNX weights as torch modules again, so that training can go on on a machine that has none of the checkpoints, and so that shipped models
get a new translator.

The tracer renames what it folds (linear layers are transposed, norms lose their names), but it writes the same graph for the same networks. So networks
with random weights are traced, each number of which occurs once: that tells where each weight is read, and there the shipped graph has the trained one.
"""

import io
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from export.names import shorten
from transformers import BertModel

from . import denoiser, export, first_stage, pipeline, tokenizer, translator, translator_training
from .paths import DENOISER, FIRST_STAGE, MODEL
from .storage import stored


def _weights(model: onnx.ModelProto) -> dict:
    """Weights by where they are read: (what the node makes, number of its input). Equal ones are stored once, so names alone do not find them."""
    arrays = stored(model)
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
    places = ((node.output[0], number, name) for node in model.graph.node for number, name in enumerate(node.input))
    return {(made, number): arrays[name] for made, number, name in places if name in arrays}


def _restore(path: Path, network: torch.nn.Module, graph: tuple) -> set:
    """Gives the parameters of `network` that the graph at `path` reads their shipped values; returns which those are."""
    module, inputs, names, output, axes = graph
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, buffer, input_names=names, output_names=[output], dynamic_axes=axes,
                          opset_version=17, do_constant_folding=True, dynamo=False)
    weights = _weights(onnx.load(path))
    # One number tells a weight: all are random and different.
    traced = {float(w.flat[0]): (w, weights.get(place)) for place, w in _weights(shorten(onnx.load_from_string(buffer.getvalue()))).items() if w.size}
    found = set()
    for number, parameter in enumerate(network.parameters()):
        mine, shipped = traced.get(parameter.detach().flatten()[0].item(), (None, None))
        if shipped is None or shipped.size != parameter.numel():
            continue  # of the other half: the encoder's, while the decoder is restored
        transposed = parameter.ndim == 2 and not np.array_equal(mine, parameter.detach().numpy())
        value = torch.from_numpy((shipped.T if transposed else shipped).astype(np.float32))
        parameter.data.copy_(value.reshape(parameter.shape))
        found.add(number)
    return found


def _random(*networks: torch.nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for network in networks:
            for parameter in network.parameters():
                parameter.normal_()


def _whole(network: torch.nn.Module, found: set) -> torch.nn.Module:
    missing = [name for number, (name, _) in enumerate(network.named_parameters()) if number not in found]
    if missing:
        raise SystemExit(f"expected every weight in the shipped graphs, found not {', '.join(missing)}")
    return network.eval()


def text(model: Path = MODEL) -> tuple[translator.Reader, list[str], BertModel]:
    """A shipped model's translator, the words that it knows, and τθ. Models that have no tokenizer share that of MODEL."""
    tokens = json.loads((MODEL / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(tokens, key=tokens.get)[len(tokenizer.SPECIAL) :]
    reader, encoder = translator.build(words)[0], denoiser.text_encoder(len(tokenizer.build()))
    _random(reader, encoder)
    both = export.text_graph(reader, encoder)
    _whole(both[0], _restore(model / "text_encoder" / "model.onnx", both[0], both))
    return reader, words, encoder


def networks() -> tuple:
    """The shipped U-Net, text encoder and first stage."""
    reader, _, encoder = text()
    unet, vae = denoiser.unet(), first_stage.build()
    _random(unet, vae)
    graphs = export.graphs(pipeline.assemble(unet, encoder, vae), reader)
    found = {name: _restore(MODEL / name / "model.onnx", unet if name == "unet" else vae, graphs[name]) for name in ("unet", "vae_encoder", "vae_decoder")}
    return _whole(unet, found["unet"]), encoder, _whole(vae, found["vae_encoder"] | found["vae_decoder"])


def translate(models: list[Path]) -> None:
    """Puts the trained translator in front of the text encoders of those models that are there; they stay as they are."""
    reader, words = translator.load()
    encoders = {model: text(model)[2] for model in models if (model / "text_encoder").exists()}
    for model, encoder in encoders.items():
        staged = export.STAGING / "text_encoder"
        shutil.rmtree(staged, ignore_errors=True)
        export.write_text_encoder(staged, reader, words, encoder)
        for file in staged.iterdir():
            file.replace(model / "text_encoder" / file.name)
    if encoders:
        export.write_tokenizer(MODEL / "tokenizer", words)


def restore() -> None:
    """Writes DENOISER, FIRST_STAGE and TRANSLATOR as a finished training would have, from the shipped model."""
    unet, encoder, vae = networks()
    scaling = json.loads((MODEL / "vae_decoder" / "config.json").read_text())["scaling_factor"]
    FIRST_STAGE.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"average": vae.state_dict(), "scaling": scaling}, FIRST_STAGE)
    state = {f"unet.{key}": value for key, value in unet.state_dict().items()} | {f"text.{key}": value for key, value in encoder.state_dict().items()}
    torch.save({"model": state, "average": state, "optimiser": None, "step": 0, "spent": 0.0}, DENOISER)
    reader, words, _ = text()
    translator_training.save(reader.state_dict(), words)
