"""
The networks of the golden files in half precision, as halve() makes them of those of real sizes: .data/gpu/models/golden, in the folders that they have there.

    python infra/gpu/graphs/golden.py
"""

import argparse
import json
import shutil
from pathlib import Path

import onnx
from weightless import halve

root = Path(__file__).parents[3]
goldens = root / "worker-gpu/golden"
halves = root / ".data/gpu/models/golden"


def main() -> None:
    argparse.ArgumentParser(prog="python infra/gpu/graphs/golden.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    shutil.rmtree(halves, ignore_errors=True)
    models = [model for name in ("stable-diffusion", "stable-diffusion-3", "paper") for model in json.loads((goldens / f"{name}.json").read_text())["models"].values()]
    parts = {part for model in models for part in model["parts"].values() if (goldens / part / "model.onnx").exists()}
    for part in sorted(parts):
        model = onnx.load(goldens / part / "model.onnx")
        if all(tensor.data_type != onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer):
            halve(model)
        shutil.copytree(goldens / part, halves / part)
        onnx.save(model, halves / part / "model.onnx")
    print(f"{len(parts)} networks")


if __name__ == "__main__":
    main()
