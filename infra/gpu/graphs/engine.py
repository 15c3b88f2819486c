"""What the engine makes of a graph when it loads it on CUDA."""

import subprocess
import tempfile
from pathlib import Path

import onnx

REWRITE = """
import { readFileSync, writeFileSync } from 'node:fs'
import { rewritten } from './worker-gpu/onnx/rewritten.ts'
import { REWRITES } from './worker-gpu/onnx/session.ts'
const [file] = process.argv.slice(-1)
writeFileSync(file, rewritten(file, %s) ?? readFileSync(file))
"""
# What it rewrites by: everything, or attention alone.
ALL, ATTENTION = "REWRITES.cuda", "REWRITES.cuda.slice(0, 1)"


def as_loaded(model: onnx.ModelProto, rewrites: str = ALL) -> onnx.ModelProto:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        Path(file.name).write_bytes(model.SerializeToString())
        subprocess.run(["npx", "node", "--input-type=module", "-e", REWRITE % rewrites, file.name], cwd=Path(__file__).parents[3], check=True)
        return onnx.load(file.name, load_external_data=False)
