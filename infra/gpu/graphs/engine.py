"""What the engine makes of a graph when it loads it on CUDA."""

import subprocess
import tempfile
from pathlib import Path

import onnx

REWRITE = Path(__file__).with_name("as-loaded.ts")
# What it rewrites by: everything, or attention alone.
ALL, ATTENTION = [], ["1"]


def as_loaded(model: onnx.ModelProto, rewrites: list[str] = ALL) -> onnx.ModelProto:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        Path(file.name).write_bytes(model.SerializeToString())
        subprocess.run(["npx", "node", REWRITE, file.name, *rewrites], cwd=Path(__file__).parents[3], check=True)
        return onnx.load(file.name, load_external_data=False)
