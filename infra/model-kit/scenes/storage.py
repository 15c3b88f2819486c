"""Stores a graph's float32 weights in less, each followed by what makes them float32 again, and under short names.

The same arithmetic and the same speed: ONNX Runtime folds the added nodes while it loads, and computes in float32. (It would not fold
DequantizeLinear, which it keeps for integer kernels.)

    int8      matrices and convolutions: whole numbers −127 … 127 → Cast → Mul by one scale for each output channel; all else as float16
    float16   → Cast
"""

import numpy as np
import onnx
from export.names import shorten
from onnx import TensorProto, helper, numpy_helper

SMALL = 1024  # numbers; below that a weight is not worth a scale
CLIPS = np.linspace(0.6, 1, 17)  # of the largest value of a channel, of which the one with the least squared error is taken


def _output_axes(graph: onnx.GraphProto) -> dict:
    """Weights that may be stored as int8: name → which of their axes counts output channels."""
    axes = {}
    for node in graph.node:
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        axis = {"Conv": 0, "MatMul": -1, "Gemm": 0 if transposed else -1}.get(node.op_type)
        if axis is not None:
            axes[node.input[1]] = axis
    return axes


def _rounded(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 of the same shape, and the scales, which multiply it as they are."""
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    largest = np.abs(weight).max(others, keepdims=True)
    best, least = np.ones_like(largest), np.full_like(largest, np.inf)
    for clip in CLIPS:
        scale = np.maximum(largest * clip / 127, 1e-12).astype("float32")
        error = (np.clip(np.round(weight / scale), -127, 127) * scale - weight) ** 2
        error = error.sum(others, keepdims=True)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return np.clip(np.round(weight / best), -127, 127).astype("int8"), best.astype("float32")


def store(model: onnx.ModelProto, as_int8: bool = True) -> onnx.ModelProto:
    shorten(model)
    axes = _output_axes(model.graph) if as_int8 else {}
    kept, added = [], []

    def cast(stored: np.ndarray, name: str, suffix: str, result: str) -> None:
        kept.append(numpy_helper.from_array(stored, name + suffix))
        added.append(helper.make_node("Cast", [name + suffix], [result], to=TensorProto.FLOAT))

    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            kept.append(weight)
            continue
        values, name = numpy_helper.to_array(weight), weight.name
        if name in axes and values.ndim > 1 and values.size >= SMALL:
            whole, scale = _rounded(values, axes[name])
            cast(whole, name, ".int8", name + ".whole")
            kept.append(numpy_helper.from_array(scale, name + ".scale"))
            added.append(helper.make_node("Mul", [name + ".whole", name + ".scale"], [name]))
        else:
            cast(values.astype("float16"), name, ".half", name)
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(added + nodes)
    return model


def stored(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The weights of a stored graph by the names that `shorten` gave them."""
    arrays = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    found = {}
    for name, values in arrays.items():
        if name.endswith(".int8"):
            found[name.removesuffix(".int8")] = values.astype("float32") * arrays[name.removesuffix(".int8") + ".scale"]
        elif not name.endswith(".scale") or name.removesuffix(".scale") + ".int8" not in arrays:
            found[name.removesuffix(".half")] = values
    return found
