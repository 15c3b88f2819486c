"""Writes judge.onnx (image [B, 3, 128, 128] in [-1, 1] → one logit tensor per head) and judge.json, the order of its labels."""

import json
import warnings

import numpy as np
import onnx
import torch

from . import judge
from .export import session
from .paths import JUDGE
from .storage import store


def export() -> None:
    JUDGE.mkdir(exist_ok=True)
    path, image = JUDGE / "judge.onnx", torch.rand(3, 3, 128, 128) * 2 - 1
    model, names = judge.load().cpu(), list(judge.HEADS)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (image,), str(path), input_names=["image"], output_names=names, opset_version=17, dynamo=False,
                          dynamic_axes={name: {0: "batch_size"} for name in ["image", *names]})
        expected = model(image)
    onnx.save(store(onnx.load(path), as_int8=False), path)
    got = session(path).run(None, {"image": image.numpy()})
    worst = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(got, expected))
    meaning = {"heads": judge.HEADS, "multi_label": judge.MULTI, "single_object_only": judge.SINGLE}
    (JUDGE / "judge.json").write_text(json.dumps(meaning, indent=2) + "\n")
    print(f"judge {path.stat().st_size / 2**20:.2f} MiB, largest error {worst:.1e}")
