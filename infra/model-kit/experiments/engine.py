"""Draws through the server's own engine: test/eval/draw.ts."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scenes.paths import KIT

ROOT = KIT.parent.parent


def draw(model: str, count: int, steps: int, *, folder: Path | None = None, task: dict | None = None, images: np.ndarray | None = None,
         side: int = 128, **more) -> tuple[np.ndarray, dict]:
    """Pictures uint8 [count, side, side, 3], and the seconds that all of them took together, with the machine they took them on.

    model       of the catalog, or a folder in `folder` that does `task`, as the catalog says it: {"unconditional": {}}
    images      uint8 [count, s, s, 3], one to enlarge for each picture
    more        prompts, guidance, seed
    """
    with tempfile.TemporaryDirectory() as work:
        asked = {"model": model, "count": count, "steps": steps, "side": side, "to": f"{work}/pictures", **more}
        if folder:
            asked |= {"modelsDir": str(folder), "tasks": task}
        if images is not None:
            Path(work, "images").write_bytes(images.tobytes())
            asked["images"] = {"file": f"{work}/images", "side": images.shape[1]}
        Path(work, "asked.json").write_text(json.dumps(asked))
        said = subprocess.run(["npx", "node", "test/eval/draw.ts", f"{work}/asked.json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        pictures = np.fromfile(f"{work}/pictures", np.uint8).reshape(count, side, side, 3)
    return pictures, json.loads(said.stdout.splitlines()[-1])
