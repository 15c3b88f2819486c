"""
Whether U-Nets answer on CUDA what they answer in PyTorch: at widths that the fused operators are for, with weights as after a training. In half precision, as exported
and as fused; without a GPU as exported alone.

    python infra/gpu/graphs/fused.py [--device cpu] [--tiny]

Node.js is what NODE says. A line for each: how far the answers are apart, of the largest.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

try:
    import numpy as np
    import onnx
    import torch
    from check import varied, weightless
    from hollow import trace
    from networks import models

    sys.path.append(str(Path(__file__).parents[2] / "model-kit/export"))
    import parts
except ImportError as missing:
    print(f"not here: {missing}")
    sys.exit()

warnings.filterwarnings("ignore")
RUN = """
import { readFileSync, writeFileSync } from 'node:fs'
import { ROWS } from './worker-gpu/onnx/branches.ts'
import { loadPart } from './worker-gpu/onnx/part.ts'
import { chooseProvider } from './worker-gpu/onnx/provider.ts'
const [folder, provider] = process.argv.slice(-2)
const part = await loadPart(folder, await chooseProvider(provider), { milliseconds: 0 })
const feeds = JSON.parse(readFileSync(`${folder}/feeds.json`, 'utf8'))
const [{ data }] = await part.run({ ...feeds, [ROWS]: { data: [0, 1, 2], dims: [3] } }, ['out_sample'])
writeFileSync(`${folder}/answer`, data)
process.exit()
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/gpu/graphs/fused.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="narrow networks, which a CPU is done with in seconds")
    given = parser.parse_args()
    known = models(given.tiny)
    weightless.GROUPS = 8 if given.tiny else weightless.GROUPS
    # The first one whole, with its groups of five channels; of the other all kinds of layers, and few of them.
    stable_diffusion = known["sd-1.5"]["unet"]
    few = {"block_out_channels": stable_diffusion.keywords["block_out_channels"][:2], "layers_per_block": 1}
    blocks = {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    for name, make in {"ldm-4-sr": known["ldm-4-sr"]["unet"], "sd-1.5, two levels of it": partial(stable_diffusion, **few, **blocks)}.items():
        torch.manual_seed(0)
        network = varied(make().eval())
        parts.export, parts.gather = partial(compare, given.device), lambda folder: None
        parts.NETWORKS[type(network).__name__](Path(name), "unet", network)


@torch.no_grad()
def compare(device: str, folder: Path, network: torch.nn.Module, forward, inputs: dict, output: str) -> None:
    feeds = {name: torch.randn(3, *example.shape[1:]) for name, (example, _) in inputs.items()}
    feeds["timestep"] = torch.tensor([1.0, 500.0, 999.0])
    expected = forward(*feeds.values()).numpy()
    plain = trace(network, forward, inputs, [output], weights=True)
    for way in ("as exported", "fused")[: 2 if device == "cuda" else 1]:
        model = onnx.ModelProto()
        model.CopyFrom(plain)
        if way == "fused":
            weightless.fuse(model, "unet", network.config.block_out_channels[0])
        weightless.halve(model)
        with tempfile.TemporaryDirectory() as beside:
            onnx.save(model, Path(beside) / "model.onnx")
            numbers = {name: {"dims": list(feed.shape), "data": feed.flatten().tolist()} for name, feed in feeds.items()}
            (Path(beside) / "feeds.json").write_text(json.dumps(numbers))
            program = [os.environ.get("NODE", "node"), "--input-type=module", "-e", RUN, beside, device]
            if subprocess.run(program, cwd=Path(__file__).parents[3]).returncode:
                got = "failed"
            else:
                answer = np.fromfile(Path(beside) / "answer", np.float32).reshape(expected.shape)
                got = f"{np.abs(answer - expected).max() / np.abs(expected).max():.0e}"
        print(f"{folder.parent}, {way}: {got}", flush=True)


if __name__ == "__main__":
    main()
