"""What guidance does to the shipped text-to-image model: what it is asked for against how real it looks, drawn through the server's engine."""

import hashlib
import json

import numpy as np
from scenes import data
from scenes.judge import HEADS
from scenes.paths import JUDGE, MODEL
from tqdm import tqdm

from . import engine, measures, results

SCALES = (1, 1.5, 2, 3, 4.5, 6, 8)
ATTRIBUTES = ("colour", "shape", "size", "material", "floor")
REAL = 2000
DOUBLES = 50  # captions of two objects; of one object all 200


def _single(said: dict, asked: list[dict]) -> dict:
    right = {name: np.array([HEADS[name][best] == caption[name] for best, caption in zip(said[name].argmax(1), asked)]) for name in ATTRIBUTES}
    four = np.all([right[name] for name in ATTRIBUTES[:4]], 0)
    return {name: float(hits.mean()) for name, hits in (right | {"all four": four, "one object": said["count"].argmax(1) == 0}).items()}


def _double(said: dict, asked: list[dict]) -> dict:
    def present(key: str) -> float:
        bits, words = said[f"present_{key}"] > 0, HEADS[f"present_{key}"]
        return float(np.mean([all(row[words.index(thing[key])] for thing in caption["objects"]) for row, caption in zip(bits, asked)]))

    return {"both colours": present("colour"), "both shapes": present("shape"), "two objects": float((said["count"].argmax(1) == 1).mean())}


def measure(scales: list[float] | None = None, steps: int = 25) -> None:
    """Draws at these scales, or all; what is known of others stays while the weights are the same."""
    captions, judge = json.loads((JUDGE / "captions.json").read_text()), measures.Judge()
    single, double = captions["single"], captions["double"][:DOUBLES]
    # The judge's own set: all pairs of colour and shape as often, as among the captions.
    pictures, scenes = data.load("judge")
    alone = judge.features(pictures[[len(scene["objects"]) == 1 for scene in scenes]][: len(single) + REAL])
    real, others = alone[len(single) :], alone[: len(single)]
    weights = hashlib.sha256((MODEL / "unet" / "model.onnx").read_bytes()).hexdigest()[:16]
    found = {"weights": weights, "pictures": len(single), "doubles": len(double), "real": len(real), "steps": steps,
             "floor": measures.frechet(others, real), "scales": {}}
    before = results.load("guidance")
    if before and before["weights"] == weights:
        found["scales"] = before["scales"]
    for scale in tqdm(scales or SCALES, unit="scale"):
        drawn, _ = engine.draw("scenes", len(single) + len(double), steps, guidance=scale, prompts=[each["caption"] for each in [*single, *double]])
        said = judge(drawn)
        ones, twos = ({name: rows[part] for name, rows in said.items()} for part in (slice(len(single)), slice(len(single), None)))
        found["scales"][f"{scale:g}"] = {"single": _single(ones, single), "double": _double(twos, double), "frechet": measures.frechet(ones["features"], real)}
        results.save("guidance", found)
