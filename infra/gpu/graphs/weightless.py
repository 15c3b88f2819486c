"""Graphs whose matrices are named and sized, and nowhere to be found: ONNX Runtime's optimiser hardly looks at their numbers."""

import json
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime.transformers.optimizer  # noqa: F401  Puts its own modules on the path.
from fusion_base import Fusion
from fusion_options import FusionOptions
from fusion_skip_group_norm import FusionSkipGroupNorm
from onnx import TensorProto, helper, numpy_helper
from onnx_model import OnnxModel
from onnx_model_unet import UnetOnnxModel
from onnx_model_vae import VaeOnnxModel

# Where ONNX Runtime looks for them, beside the graph.
FILE = "weights"
ALIGNMENT = 64
# Of every normalisation.
GROUPS = 32
# Channels that CUDA's BiasAdd takes.
BIAS_ADD = (320, 640, 1280)
# What gives whole pictures, where a timestep's embedding is one number a channel.
PICTURES = ("NhwcConv", "SkipGroupNorm", "BiasAdd", "Add", "Concat", "Reshape")

to_array = numpy_helper.to_array
add_initializer = Fusion.add_initializer
fuse_skip_group_norm = FusionSkipGroupNorm.fuse


def absent(name: str, data_type: int, dims) -> TensorProto:
    tensor = TensorProto(name=name, data_type=data_type, dims=dims, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=FILE)
    return tensor


def is_absent(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL


def zeros_where_absent(tensor: TensorProto, *given) -> np.ndarray:
    if is_absent(tensor):
        return np.broadcast_to(np.zeros((), helper.tensor_dtype_to_np_dtype(tensor.data_type)), tensor.dims)
    return to_array(tensor, *given)


def add_absent(self: Fusion, name: str, data_type: int, dims, vals, raw: bool = True) -> None:
    """What the optimiser puts together of matrices is absent too."""
    if len(dims) > 1:
        self.model.add_initializer(absent(name, data_type, dims), self.this_graph_name)
    else:
        add_initializer(self, name, data_type, dims, vals, raw)


def is_odd(gamma: TensorProto) -> bool:
    """CUDA's GroupNorm takes two channels at a time, and refuses groups of five (the 160 channels of LDM-4)."""
    return gamma.dims[0] // GROUPS % 2 == 1


def fuse_skip_of_even_groups(self: FusionSkipGroupNorm, norm, *given) -> None:
    if not is_odd(self.model.get_initializer(norm.input[1])):
        fuse_skip_group_norm(self, norm, *given)


def pair_pixels(graph: OnnxModel) -> None:
    """
    Groups of an odd number of channels become even ones of two pixels that lie side by side: [B, H, W, C] is [B, H, W / 2, 2 · C] without a copy, and
    one product with a matrix of ones and zeros brings the halves of each group together, another one apart; Gather does so number by number, and took an H200 as
    long as the norm itself. W is even wherever a network halves it once more. Where a timestep's embedding is added before the norm, the norm adds it, and the convolution's
    bias with it: the provider's sum of a picture and a number a channel takes longer than one of two pictures.
    """
    makers, users = graph.output_name_to_node(), graph.input_name_to_nodes()
    for norm in graph.get_nodes_by_op_type("GroupNorm"):
        weights = [graph.get_initializer(name) for name in norm.input[1:3]]
        if not is_odd(weights[0]):
            continue
        channels = weights[0].dims[0]
        together = np.arange(2 * channels).reshape(2, GROUPS, -1).swapaxes(0, 1).ravel()
        x, y = norm.input[0], norm.output[0]
        make = Maker(graph, y)

        def ordered(x: str, order: np.ndarray, name: str) -> str:
            return make.node("MatMul", [x, make.constant(f"{name}/order", np.eye(len(order), dtype=np.float32)[:, order])], name)

        embedding = embedded(graph, norm, makers, users)
        if embedding:
            conv, spread = embedding
            x = conv.output[0]
        pairs = make.node("Reshape", [x, make.constant("paired", [0, 0, -1, 2 * channels])], "pairs")
        scales = (make.constant(name, to_array(of)[together % channels]) for name, of in zip(("gamma", "beta"), weights))
        norm.input[:] = [ordered(pairs, together, "x"), *scales]
        if embedding:
            order = make.constant("skip/order", np.eye(channels, dtype=np.float32)[:, together % channels])
            bias = make.constant("bias", to_array(graph.get_initializer(conv.input[2]))[together % channels])
            norm.op_type = "SkipGroupNorm"
            norm.input.extend([make.node("MatMul", [spread, order], "skip"), bias])
            del conv.input[2]
        norm.output[:] = [f"{y}/y"]
        normal = ordered(f"{y}/y", np.argsort(together), "normal")
        make.node("Reshape", [normal, make.constant("single", [0, 0, -1, channels])])


def embedded(graph: OnnxModel, norm: onnx.NodeProto, makers: dict, users: dict) -> tuple[onnx.NodeProto, str] | None:
    """Of a convolution's picture and a timestep's embedding, [B, 1, 1, C], whose sum a norm takes and nothing else: the convolution, and the embedding."""
    path = graph.match_parent_path(norm, ["Transpose", "Add"], [0, 0], makers)
    if path is None or any(len(users[node.output[0]]) > 1 for node in path):
        return None
    turned = [makers.get(name) for name in path[1].input]
    before = [maker.input[0] for maker in turned if maker is not None and maker.op_type == "Transpose"]
    by = {makers[name].op_type: makers[name] for name in before if name in makers}
    conv, spread = by.get("NhwcConv"), by.get("Unsqueeze")
    if conv is None or spread is None or len(conv.input) != 3 or len(users[conv.output[0]]) > 1:
        return None
    return conv, spread.output[0]


def fuse_attention_norms(graph: OnnxModel) -> None:
    """An attention's norm, which takes the picture as [B, C, H · W] and is followed by no SiLU, is one operator too."""
    makers, users = graph.output_name_to_node(), graph.input_name_to_nodes()
    for norm in graph.get_nodes_by_op_type("InstanceNormalization"):
        before = graph.match_parent_path(norm, ["Reshape", "Reshape"], [0, 0], makers)
        after = graph.match_child_path(norm, ["Reshape", "Mul", "Add", "Transpose"], [(0, 0)] * 4, input_name_to_nodes=users)
        if before is None or after is None:
            continue
        gamma, beta = (graph.get_initializer(node.input[1]) for node in after[1:3])
        make = Maker(graph, after[-1].output[0])
        image = make.node("Transpose", [before[-1].input[0]], "image", perm=[0, 2, 3, 1])
        scales = [make.constant(name, to_array(of).ravel()) for name, of in (("gamma", gamma), ("beta", beta))]
        as_before = {"activation": 0, "channels_last": 1, "epsilon": norm.attribute[0].f, "groups": len(graph.get_constant_value(norm.input[1]))}
        normal = make.node("GroupNorm", [image, *scales], "normal", domain="com.microsoft", **as_before)
        graph.remove_nodes([norm, *after])
        make.node("Reshape", [normal, make.constant("rows", [0, -1, gamma.dims[0]])])


def add_biases_with_skips(graph: OnnxModel) -> None:
    """
    A residual block's last bias is added together with the skip, where the provider would add it to the convolution's result in a pass of its own. Of two pixels at once
    where a kernel for their channels is all there is.
    """
    makers, users = graph.output_name_to_node(), graph.input_name_to_nodes()
    for add in graph.get_nodes_by_op_type("Add"):
        made = [makers.get(name) for name in add.input]
        before = [makers.get(maker.input[0]) if maker and maker.op_type == "Transpose" else maker for maker in made]
        if not all(maker and maker.op_type in PICTURES for maker in before):
            continue
        biased = [
            conv if conv.op_type == "NhwcConv" and len(conv.input) == 3 and len(users[name]) == len(users[conv.output[0]]) == 1 else None
            for name, conv in zip(add.input, before)
        ]
        of = biased[1] or biased[0]
        if of is None:
            continue
        channels = graph.get_initializer(of.input[1]).dims[0]
        pixels = next((pixels for pixels in (1, 2) if pixels * channels in BIAS_ADD), None)
        if pixels is None:
            continue
        make = Maker(graph, add.output[0])
        bias = sum(to_array(graph.get_initializer(conv.input[2])) for conv in biased if conv)
        for conv in filter(None, biased):
            del conv.input[2]
        wide = make.constant("wide", [0, -1, pixels * channels])
        images = [
            maker.input[0] if maker.op_type == "Transpose" else make.node("Transpose", [name], f"nhwc/{i}", perm=[0, 2, 3, 1])
            for i, (name, maker) in enumerate(zip(add.input, made))
        ]
        rows = [make.node("Reshape", [image, wide], f"rows/{i}") for i, image in enumerate(images)]
        of_bias = biased.index(of)
        total = make.node("BiasAdd", [rows[of_bias], make.constant("bias", np.tile(bias, pixels)), rows[1 - of_bias]], "sum", domain="com.microsoft")
        shape = make.node("Shape", [images[of_bias]], "shape")
        image = make.node("Reshape", [total, shape], "image")
        graph.remove_node(add)
        make.node("Transpose", [image], perm=[0, 3, 1, 2])


class Maker:
    """Of nodes and constants in the place of one whose result is `y`."""

    def __init__(self, graph: OnnxModel, y: str):
        self.graph, self.y = graph, y

    def constant(self, name: str, values) -> str:
        self.graph.add_initializer(numpy_helper.from_array(np.asarray(values), f"{self.y}/{name}"))
        return f"{self.y}/{name}"

    def node(self, operator: str, inputs: list[str], name: str | None = None, **attributes) -> str:
        """Gives the result's name: `y` itself where it has none of its own."""
        output = f"{self.y}/{name}" if name else self.y
        self.graph.add_node(helper.make_node(operator, inputs, [output], f"{output}/{operator}", **attributes))
        return output


FusionSkipGroupNorm.fuse = fuse_skip_of_even_groups
numpy_helper.to_array = zeros_where_absent
Fusion.add_initializer = add_absent


def hollow_out(graph: onnx.GraphProto, inputs: list[str]) -> None:
    """Of a traced graph, whose weights are inputs: vectors as before any training, matrices absent."""
    for port in [port for port in graph.input if port.name not in inputs]:
        kind = port.type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        if max(dims) == prod(dims):
            scales = port.name.endswith("weight") or port.name.startswith("onnx::Mul")
            graph.initializer.append(numpy_helper.from_array((np.ones if scales else np.zeros)(dims, np.float32), port.name))
        else:
            graph.initializer.append(absent(port.name, kind.elem_type, dims))
        graph.input.remove(port)


# What that script leaves.
PASSES = (fuse_attention_norms, pair_pixels, add_biases_with_skips)


def fuse(model: onnx.ModelProto, kind: str, width: int, passes=PASSES) -> None:
    """What ONNX Runtime's Stable Diffusion script does with a `unet` or `vae`, `width` channels wide at its ends, and `passes` after it."""
    options = FusionOptions(kind)
    # It puts Q, K and V side by side, which from compute capability 9 on no kernel takes: they would be copied apart again. The engine fuses attention when it loads.
    options.enable_attention = False
    # CUDA has these for the widths of Stable Diffusion alone.
    options.enable_bias_splitgelu = options.enable_bias_add = width == 320
    optimizer = {"unet": UnetOnnxModel, "vae": VaeOnnxModel}[kind](model)
    optimizer.optimize(options)
    for each in passes:
        each(optimizer)
    model.opset_import.add(domain="com.microsoft", version=1)


def halve(model: onnx.ModelProto) -> None:
    """
    Half precision, but for what sines are taken of, as torch has it: timesteps have fractions, and thousands of radians have none in half precision. And but for latents and
    pictures: the GPU converts them faster than the host. The shapes that are guessed on the way are left out: a VQ decoder's picture was said to be as large as its latent, and
    got that one's memory.
    """
    graph = OnnxModel(model)
    sines = graph.get_nodes_by_op_type("Sin") + graph.get_nodes_by_op_type("Cos")
    exact = [*sines, *(node for sine in sines for node in [*graph.get_parent_subgraph_nodes(sine, []), *together(graph, sine)])]
    for node in exact:
        node.name = node.output[0]  # By which they are told; some exporters give none.
    told = [name for node in exact for name in node.input]
    shapes = [onnx.TensorShapeProto.FromString(port.type.tensor_type.shape.SerializeToString()) for port in model.graph.output]
    graph.convert_float_to_float16(
        keep_io_types=[*told, "sample", "out_sample", "latent_sample"], node_block_list=[node.name for node in exact], op_block_list=["RandomNormalLike"]
    )
    # What several of them take it casts once for each, by one name.
    nodes = {node.output[0]: node for node in graph.nodes()}
    del model.graph.node[:]
    model.graph.node.extend(nodes.values())
    for port, shape in zip(model.graph.output, shapes):
        port.type.tensor_type.shape.CopyFrom(shape)
    del model.graph.value_info[:]
    graph.topological_sort()


def together(graph: OnnxModel, sine: onnx.NodeProto) -> list[onnx.NodeProto]:
    """What puts a timestep's sines and cosines together: one result to be halved, and not two."""
    return [user for user in graph.get_children(sine) if user.op_type == "Concat"]


def finish(model: onnx.ModelProto, folder: Path, operations: int | None) -> int:
    """
    Writes model.onnx, and weights.json for weights.ts: of each matrix its offset, count and spread; and the operations of an evaluation. Gives how many
    weights there are.
    """
    graph = model.graph
    users = {name: node for node in graph.node for name in node.input}
    offset = 0
    drawn = []
    types = set()
    for tensor in filter(is_absent, graph.initializer):
        count = prod(tensor.dims)
        size = count * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        tensor.external_data.add(key="offset", value=str(offset))
        tensor.external_data.add(key="length", value=str(size))
        drawn.append([offset, count, spread(tensor, users[tensor.name])])
        types.add(TensorProto.DataType.Name(tensor.data_type))
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    if len(types) != 1:
        raise ValueError(f"{folder}: expected matrices of one type, got {types}")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "weights.json").write_text(json.dumps({"type": types.pop().lower(), "matrices": drawn, "operations": operations}))
    return sum(count for _, count, _ in drawn)


def spread(tensor: TensorProto, user: onnx.NodeProto) -> float:
    """The standard deviation with which a layer's answers have the variance of what it is given."""
    match user.op_type:
        case "MatMul":
            inputs = tensor.dims[0]
        case "Gemm":
            inputs = tensor.dims[1]
        case "Conv" | "NhwcConv":
            inputs = prod(tensor.dims[1:])
        case _:
            inputs = 1
    return inputs**-0.5
