"""A network to an ONNX graph."""

import json
import os
from pathlib import Path

import onnx
import torch
from torch.onnx import register_custom_op_symbolic, symbolic_helper

# protobuf holds 2 GiB; beyond about that, weights lie beside the graph.
LARGEST = 1_500_000_000


@symbolic_helper.parse_args("v", "is", "v", "f")
def rms_norm(g, x, shape, weight, eps):
    """For which the tracer knows no operator before opset 23. Computed in float32, as torch does."""
    wide = g.op("Cast", x, to_i=onnx.TensorProto.FLOAT)
    mean = g.op("ReduceMean", g.op("Mul", wide, wide), axes_i=list(range(-len(shape), 0)))
    root = g.op("Sqrt", g.op("Add", mean, g.op("Constant", value_t=torch.tensor(eps))))
    normal = g.op("CastLike", g.op("Div", wide, root), x)
    return normal if symbolic_helper._is_none(weight) else g.op("Mul", normal, weight)


register_custom_op_symbolic("aten::rms_norm", rms_norm, 17)


def export(folder: Path, network: torch.nn.Module, forward, inputs: dict, outputs: str | list[str]) -> None:
    """Writes `<folder>/model.onnx` and its config.json. `inputs`: by name an example and its free axes; `forward` takes them in this order."""

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


def gather(folder: Path) -> None:
    """A large graph's tracer writes a file for every weight: one beside the graph is enough."""
    model = onnx.load(folder / "model.onnx")
    for name in os.listdir(folder):
        if name != "config.json":
            (folder / name).unlink()
    apart = {"save_as_external_data": True, "location": "model.onnx_data"} if model.ByteSize() > LARGEST else {}
    onnx.save(model, folder / "model.onnx", **apart)
    for file in folder.glob("*.onnx_data"):
        # onnx lets nobody but its writer read it; a node may be another user.
        file.chmod((folder / "model.onnx").stat().st_mode)
