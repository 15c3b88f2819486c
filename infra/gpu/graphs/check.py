"""
Whether fused graphs say what they said before, as they are and as the engine rewrites them on CUDA: tiny networks with real weights, before on the CPU
provider, afterwards by onnx's reference evaluator.

    python infra/gpu/graphs/check.py [MODEL …]

No CPU has CUDA's fused operators, so that they are written out here, by their definitions: onnxruntime, docs/ContribOperators.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from engine import as_loaded
from hollow import trace
from networks import models
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch.nn import functional

sys.path.append(str(Path(__file__).parents[2] / "model-kit/export"))
import parts  # noqa: E402
import weightless  # noqa: E402

MICROSOFT = "com.microsoft"
# These have weights.
weightless.Fusion.add_initializer = weightless.add_initializer


def main() -> None:
    # They are narrow.
    weightless.GROUPS, weightless.BIAS_ADD = 8, (16, 32, 64, 80, 160)
    known = models(tiny=True)
    parser = argparse.ArgumentParser(prog="python infra/gpu/graphs/check.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="MODEL", nargs="*", choices=[*known, []], help=f"{', '.join(known)}; default: all")
    given = parser.parse_args()
    for name in given.names or known:
        for part in ("unet", "vae", "vqvae"):
            if part in known[name]:
                torch.manual_seed(0)
                network = varied(known[name][part]().eval())
                parts.export, parts.gather = lambda folder, *given: compare(name, folder.name, *given), lambda folder: None
                parts.exporter(network, known[name]["class"])(Path(name), part, network)


@torch.no_grad()
def varied(network: torch.nn.Module) -> torch.nn.Module:
    """As after a training: no scale is one, and no bias zero."""
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            weight.normal_(0, weight[0].numel() ** -0.5)
        else:
            weight.normal_(1.0 if name.endswith("weight") else 0.0, 0.3)
    return network


def compare(model: str, part: str, network: torch.nn.Module, forward, inputs: dict, output: str) -> None:
    if part.endswith("encoder"):
        return
    plain = trace(network, forward, inputs, [output], weights=True)
    fused = onnx.ModelProto()
    fused.CopyFrom(plain)
    weightless.fuse(fused, "unet" if part == "unet" else "vae", 256 if model == "ldm-8-class" else 320)
    weightless.OnnxModel(fused).topological_sort()
    # Other values than those of the trace, and a row more.
    feeds = {name: torch.randn(3, *example.shape[1:]).numpy() for name, (example, _) in inputs.items()}
    if "timestep" in feeds:
        feeds["timestep"] = np.array([1, 500, 999], np.float32)
    [expected] = onnxruntime.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    for kind, graph in {"fused": fused, "as the engine loads it": as_loaded(fused)}.items():
        [got] = ReferenceEvaluator(graph, new_ops=OPERATORS).run(None, feeds)
        apart = np.abs(got - expected).max() / np.abs(expected).max()
        print(f"{model}/{part}, {kind}: {apart:.0e} of the largest value apart", flush=True)
        if apart > 1e-4:
            sys.exit("expected at most 1e-04")


def group_norm(x, gamma, beta, groups: int, epsilon: float, silu: int):
    y = functional.group_norm(torch.tensor(x).movedim(-1, 1), groups, torch.tensor(gamma), torch.tensor(beta), epsilon)
    return (functional.silu(y) if silu else y).movedim(1, -1).numpy()


class GroupNorm(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, gamma, beta, activation=0, channels_last=1, epsilon=1e-5, groups=0):
        return (group_norm(x, gamma, beta, groups, epsilon, activation),)


class SkipGroupNorm(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, gamma, beta, skip, bias=None, activation=0, channels_last=1, epsilon=1e-5, groups=0):
        total = x + (skip[:, None, None] if skip.ndim == 2 else skip) + (0 if bias is None else bias)
        return group_norm(total, gamma, beta, groups, epsilon, activation), total


class NhwcConv(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, weight, bias=None, auto_pad=None, dilations=(1, 1), group=1, kernel_shape=None, pads=(0, 0, 0, 0), strides=(1, 1)):
        given = (torch.tensor(each).movedim(-1, 1) for each in (x, weight))
        return (functional.conv2d(*given, None if bias is None else torch.tensor(bias), strides, pads[:2], dilations, group).movedim(1, -1).numpy(),)


class MultiHeadAttention(OpRun):
    op_domain = MICROSOFT

    def _run(self, q, k, v, *none, num_heads=1, scale=None, mask_filter_value=None, unidirectional=0):
        heads = (torch.tensor(each).reshape(*each.shape[:2], num_heads, -1).transpose(1, 2) for each in (q, k, v))
        return (functional.scaled_dot_product_attention(*heads, scale=scale or None).transpose(1, 2).flatten(2).numpy(),)


class SkipLayerNormalization(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, skip, gamma, beta=None, bias=None, epsilon=1e-5):
        total = x + skip + (0 if bias is None else bias)
        given = (torch.tensor(each) for each in (gamma, beta))
        nothing = np.zeros(1, np.float32)  # The mean and the deviation, which nobody asks for.
        return functional.layer_norm(torch.tensor(total), total.shape[-1:], *given, epsilon).numpy(), nothing, nothing, total


class Gelu(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, approximate="none"):
        return (functional.gelu(torch.tensor(x), approximate=approximate).numpy(),)


class BiasSplitGelu(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, bias):
        left, right = np.split(x + bias, 2, -1)
        return (left * functional.gelu(torch.tensor(right)).numpy(),)


class BiasAdd(OpRun):
    op_domain = MICROSOFT

    def _run(self, x, bias, skip):
        return (x + bias + skip,)


class Resize(OpRun):
    """To the nearest, twice as large: onnx's own stumbles over the region that torch leaves empty."""

    def _run(self, x, region=None, scales=None, sizes=None, **how):
        return (x.repeat(2, 2).repeat(2, 3),)


OPERATORS = [GroupNorm, SkipGroupNorm, NhwcConv, MultiHeadAttention, SkipLayerNormalization, Gelu, BiasSplitGelu, BiasAdd, Resize]

if __name__ == "__main__":
    main()
