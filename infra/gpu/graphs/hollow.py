"""Networks of billions of weights, traced in a few megabytes."""

import io

import onnx
import torch
from torch.utils.flop_counter import FlopCounterMode


def hollow(make) -> torch.nn.Module:
    """A network whose matrices are all one zero; vectors are as before any training: scales of one, biases of zero."""
    with torch.device("meta"):
        network = make().eval()
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                value = torch.ones(1) if weight.dim() == 1 and name == "weight" else torch.zeros(1)
                module._parameters[name] = torch.nn.Parameter(value.expand(weight.shape), requires_grad=False)
        for name, buffer in module._buffers.items():
            if name == "position_ids":
                module._buffers[name] = torch.arange(buffer.shape[-1])[None]
            elif buffer is not None:
                raise NotImplementedError(f"{type(module).__name__}.{name}: expected position_ids alone")
    return network


@torch.no_grad()
def trace(network: torch.nn.Module, forward, inputs: dict, outputs: list[str], weights: bool = False) -> onnx.ModelProto:
    """`inputs`: by name an example and its free axes. Without `weights` these become inputs of the graph too: only their shapes are known."""

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, *arguments):
            return forward(*arguments)

    written = io.BytesIO()
    torch.onnx.export(
        Wrapped().eval(),
        tuple(example for example, _ in inputs.values()),
        written,
        input_names=list(inputs),
        output_names=outputs,
        dynamic_axes={name: axes for name, (_, axes) in inputs.items()} | {name: {0: "batch_size"} for name in outputs},
        opset_version=17,
        dynamo=False,
        export_params=weights,
        keep_initializers_as_inputs=not weights,  # Otherwise weights that are alike become one.
    )
    return onnx.load_from_string(written.getvalue())


def operations(network: torch.nn.Module, forward, inputs: dict) -> int:
    """Multiplications and additions of one evaluation of a U-Net, at the size of latents that it was made for. The network is of no use afterwards."""
    side = network.config.sample_size
    shapes = [[1, *example.shape[1:]] for example, _ in inputs.values()]
    shapes[0][2:] = [side, side]
    network.to("meta")
    with FlopCounterMode(display=False) as counter:
        forward(*(torch.empty(shape, dtype=example.dtype, device="meta") for shape, (example, _) in zip(shapes, inputs.values())))
    return counter.get_total_flops()
