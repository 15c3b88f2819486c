"""Networks to ONNX graphs, as small as they get."""

import json
import shutil
from pathlib import Path

import onnx
import onnxruntime
import torch
from golden import folder as golden
from onnx import TensorProto, helper


def export(folder: Path, network: torch.nn.Module, forward, inputs: dict, outputs: str | list[str]) -> None:
    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, *arguments):
            return forward(*arguments)

    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(network, "save_config"):
        network.save_config(folder)
    elif hasattr(network.config, "save_pretrained"):
        network.config.save_pretrained(folder)
    else:
        (folder / "config.json").write_text(json.dumps(vars(network.config)) + "\n")
    names = [outputs] if isinstance(outputs, str) else outputs
    torch.onnx.export(
        Wrapped().eval(),
        tuple(example for example, _ in inputs.values()),
        folder / "model.onnx",
        input_names=list(inputs),
        output_names=names,
        dynamic_axes={name: axes for name, (_, axes) in inputs.items()} | {name: {0: "batch_size"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    shrink(folder / "model.onnx")


def shrink(file: Path) -> None:
    """Folds constants, which are most of an export's nodes, and shortens the names of what is left, which are most of its bytes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(file)
    onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    model = onnx.load(file)
    graph = model.graph
    short = {port.name: port.name for port in (*graph.input, *graph.output)} | {"": ""}
    for tensor in graph.initializer:
        tensor.name = short.setdefault(tensor.name, f"{len(short):x}")
    for node in graph.node:
        node.ClearField("name")
        for names in (node.input, node.output):
            names[:] = [short.setdefault(name, f"{len(short):x}") for name in names]
    del graph.value_info[:]
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
    target = golden / "scalar-timestep" / "unet"
    target.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), target / "model.onnx")
    shutil.copy(folder / "unet" / "config.json", target / "config.json")
