"""
What one evaluation of a U-Net reads and writes in kernels that compute next to nothing: as ONNX Runtime's script fuses it, with attention fused, and as the engine runs it.

    python infra/gpu/graphs/traffic.py [MODEL …]

In millions of numbers, for one row of the network's own size, by what ONNX Runtime's kernels do (onnxruntime, core/providers/cuda and contrib_ops/cuda/diffusion,
bert): a GroupNorm reads twice and writes once, a SkipGroupNorm writes and reads the sum too; a Gelu takes a bias along. InstanceNormalization, which odd groups
were left with, has cuDNN read twice and write for its statistics, then reads and writes again. Changes of layout are left out, of which ONNX Runtime takes
some away when it loads a graph. No time follows from it: kernels differ in how near they come to the memory's speed.
"""

import argparse
import sys
import warnings
from collections import Counter
from math import prod
from pathlib import Path

import onnx
from engine import ALL, ATTENTION, as_loaded
from hollow import hollow, trace
from networks import models

sys.path.append(str(Path(__file__).parents[2] / "model-kit/export"))
import parts  # noqa: E402
import weightless  # noqa: E402

warnings.filterwarnings("ignore")


def main() -> None:
    known = models()
    parser = argparse.ArgumentParser(prog="python infra/gpu/graphs/traffic.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="MODEL", nargs="*", choices=[*known, []], help=f"{', '.join(known)}; default: all")
    given = parser.parse_args()
    for name in given.names or known:
        network = hollow(known[name]["unet"])
        parts.export, parts.gather = lambda folder, *given: tell(name, *given), lambda folder: None
        parts.exporter(network, known[name]["class"])(Path(name), "unet", network)


def tell(name: str, network, forward, inputs: dict, output: str) -> None:
    traced = trace(network, forward, inputs, [output])
    weightless.hollow_out(traced.graph, list(inputs))
    before, after = (Counter(), Counter()), (Counter(), Counter())
    for counted, passes, rewrites in ((before, (), ATTENTION), (after, weightless.PASSES, ALL)):
        graph = onnx.ModelProto()
        graph.CopyFrom(traced)
        weightless.fuse(graph, "unet", network.config.block_out_channels[0], passes)
        weightless.OnnxModel(graph).topological_sort()
        loaded = as_loaded(graph, rewrites)
        weightless.OnnxModel(loaded).topological_sort()
        count(loaded, network.config.sample_size, *counted)
    print(f"{name}, one row of {network.config.sample_size}²")
    for kind in sorted(before[1] | after[1]):
        line(kind, *(part[kind] for part in (*before, *after)))
    line("all", *(part.total() for part in (*before, *after)))


def line(kind: str, kernels: int, elements: int, kernels_after: int, elements_after: int) -> None:
    print(f"  {kind:22} {kernels:4} kernels {elements / 1e6:7.1f} M   →  {kernels_after:4} kernels {elements_after / 1e6:7.1f} M", flush=True)


def count(model: onnx.ModelProto, side: int, kernels: Counter, elements: Counter) -> None:
    """Adds to `kernels` and `elements`, by kind."""
    graph = model.graph
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    users = Counter(name for node in graph.node for name in node.input)
    activated = {node.input[0] for node in graph.node if node.op_type == "Gelu"}
    constants = {node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t).tolist() for node in graph.node if node.op_type == "Constant"}
    # How many numbers each value has. What is computed of timesteps and shapes has next to none.
    sizes = {port.name: side**2 * dims[1].dim_value for port in graph.input if len(dims := port.type.tensor_type.shape.dim) == 4}

    def add(kind: str, size: float) -> None:
        if size > 0:
            kernels[kind] += 1
            elements[kind] += size

    for node in graph.node:
        given = [sizes.get(name, 0) for name in node.input]
        size = max(given, default=0)
        dims = weights.get(node.input[1], []) if len(node.input) > 1 else []
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        match node.op_type:
            case "Shape":
                size = 0
            case "Concat":
                size = sum(given)
            case "Resize":
                size = 4 * given[0]
                add("Resize", given[0] + size)
            case "Slice" if node.input[0] in weights:
                # Of a matrix its columns, of a bias all that there is: both are cut along their last axis, when the graph is loaded.
                [start], [end] = (constants[name] for name in node.input[1:3])
                weights[node.output[0]] = [*weights[node.input[0]][:-1], end - start]
            case "Reshape" if given[0] == 0 and node.input[1] in constants:
                # Of weights that are put together when the graph is loaded.
                weights[node.output[0]] = constants[node.input[1]]
            case "Slice" if constants[node.input[3]] == [1, 2]:
                add("Slice", 2 * size)  # A picture's edges.
            case "Slice":
                size = given[0] / 2
                add("Slice", 2 * size)
            case "BiasSplitGelu":
                size = given[0] / 2
                add("BiasSplitGelu", 3 * size)
            case "Gelu":
                add("Gelu", 2 * size)
            case "LayerNormalization":
                add("LayerNormalization", 2 * size)
            case "SkipLayerNormalization":
                add("SkipLayerNormalization", 4 * size)
            case "MultiHeadAttention":
                size = given[0]
            case "MatMul" if node.input[1].endswith("/order"):
                add("order of channels", 2 * size)
            case "MatMul" if len(dims) == 2:
                size = given[0] * dims[1] / dims[0]
            case "NhwcConv":
                size = given[0] * dims[0] / dims[3] / prod(attributes.get("strides", [1]))
                if len(node.input) > 2:
                    add("bias of a convolution", 2 * size)
            case "Add" if node.output[0] in activated and users[node.output[0]] == 1:
                pass  # BiasGelu
            case "Add":
                add("Add", sum(given) + size)
            case "Mul":
                silu = any(name in makers and makers[name].op_type == "Sigmoid" for name in node.input)
                add("QuickGelu" if silu else "Mul", 2 * size if silu else sum(given) + size)
            case "GroupNorm" if weightless.is_odd(next(tensor for tensor in graph.initializer if tensor.name == node.input[1])):
                for kind in ("InstanceNormalization", "Mul", "Add", *(["QuickGelu"] if attributes["activation"] else [])):
                    add(kind, (5 if kind == "InstanceNormalization" else 2) * size)
            case "BiasAdd":
                add("BiasAdd", 3 * size)
            case "SkipGroupNorm":
                add("SkipGroupNorm", 4 * size + given[3])
            case "GroupNorm" | "InstanceNormalization":
                add(node.op_type, {"GroupNorm": 3, "InstanceNormalization": 5}[node.op_type] * size)
        for name in node.output:
            sizes[name] = size


if __name__ == "__main__":
    main()
