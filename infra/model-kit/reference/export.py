"""Networks to ONNX graphs, as small as they get."""

import shutil
import sys
from pathlib import Path

import onnx
import onnxruntime
from golden import folder as golden
from onnx import TensorProto, helper

sys.path.append(str(Path(__file__).parents[1] / "export"))
import graph  # noqa: E402
import names  # noqa: E402


def export(folder: Path, *given, fold: bool = True) -> None:
    """`fold`: otherwise its nodes are those that the tracer wrote."""
    graph.export(folder, *given)
    file = folder / "model.onnx"
    if fold:
        fold_constants(file)
    onnx.save(names.shorten(onnx.load(file)), file)


def fold_constants(file: Path) -> None:
    """They are most of an export's nodes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(file)
    onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])


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
