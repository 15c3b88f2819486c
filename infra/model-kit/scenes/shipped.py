"""The shipped ONNX weights as torch modules again, so that training can go on on a machine that has none of the checkpoints.

The tracer renames what it folds (linear layers are transposed, norms lose their names), but it writes the same graph for the same networks. So networks
with random weights are traced, each number of which occurs once: that tells where each weight is read, and there the shipped graph has the trained one.
"""

import io
import json
import warnings

import numpy as np
import onnx
import torch

from . import denoiser, export, first_stage, pipeline, tokenizer
from .paths import DENOISER, FIRST_STAGE, MODEL
from .storage import stored


def _weights(model: onnx.ModelProto) -> dict:
    """Weights by where they are read: (node, number of its input). Equal ones are stored once, so names alone do not find them."""
    arrays = stored(model)
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
    places = ((node.name, number, name) for node in model.graph.node for number, name in enumerate(node.input))
    return {(node, number): arrays[name] for node, number, name in places if name in arrays}


def _restore(name: str, network: torch.nn.Module, graph: tuple) -> set:
    """Gives the parameters of `network` that graph `name` reads their shipped values; returns which those are."""
    module, inputs, names, output, axes = graph
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, buffer, input_names=names, output_names=[output], dynamic_axes=axes,
                          opset_version=17, do_constant_folding=True, dynamo=False)
    weights = _weights(onnx.load(MODEL / name / "model.onnx"))
    # One number tells a weight: all are random and different.
    traced = {float(w.flat[0]): (w, weights.get(place)) for place, w in _weights(onnx.load_from_string(buffer.getvalue())).items() if w.size}
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


def networks() -> tuple:
    """The shipped U-Net, text encoder and first stage."""
    torch.manual_seed(0)
    words = tokenizer.build()
    unet, text, vae = denoiser.unet(), denoiser.text_encoder(len(words)), first_stage.build()
    with torch.no_grad():
        for network in (unet, text, vae):
            for parameter in network.parameters():
                parameter.normal_()
    pipe = pipeline.assemble(unet, text, vae)
    found = {network: set() for network in (unet, text, vae)}
    for name, graph in export.graphs(pipe).items():
        network = {"text_encoder": text, "unet": unet}.get(name, vae)
        found[network] |= _restore(name, network, graph)
    for network, numbers in found.items():
        missing = [name for number, (name, _) in enumerate(network.named_parameters()) if number not in numbers]
        if missing:
            raise SystemExit(f"expected every weight in the shipped graphs, found not {', '.join(missing)}")
    return unet.eval(), text.eval(), vae.eval()


def restore() -> None:
    """Writes DENOISER and FIRST_STAGE as a finished training would have, from the shipped model."""
    unet, text, vae = networks()
    scaling = json.loads((MODEL / "vae_decoder" / "config.json").read_text())["scaling_factor"]
    FIRST_STAGE.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"average": vae.state_dict(), "scaling": scaling}, FIRST_STAGE)
    state = {f"unet.{key}": value for key, value in unet.state_dict().items()} | {f"text.{key}": value for key, value in text.state_dict().items()}
    torch.save({"model": state, "average": state, "optimiser": None, "step": 0, "spent": 0.0}, DENOISER)
