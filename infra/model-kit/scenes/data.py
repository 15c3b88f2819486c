"""Renders the data sets in shards: DATA/<set>/<shard>.npy, uint8 [n, 128, 128, 3], and <shard>.json, the scenes.

A shard's seed is its set and number, so a broken run resumes where it stopped and a rerun gives the same pictures.
"""

import json
import multiprocessing
import os
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from .layout import COUNTS, draw
from .paths import DATA
from .render import render

SHARD = 500


@dataclass(frozen=True)
class Set:
    seed: int
    size: int
    held_out: bool  # may the four withheld colour–shape pairs appear?
    counts: tuple  # shares of one, two and three objects


SETS = {
    "train": Set(1, 28_000, False, COUNTS),
    # The judge must have seen every pair equally often, or it marks the unseen ones wrong.
    "judge": Set(2, 9_000, True, (0.55, 0.3, 0.15)),
    "real": Set(3, 1_000, True, (0.5, 0.3, 0.2)),
}


def _shard(job: tuple) -> None:
    name, number, count = job
    spec, stem = SETS[name], DATA / name / f"{number:04d}"
    if stem.with_suffix(".json").exists():
        return
    rng = np.random.default_rng([spec.seed, number])
    scenes = [draw(rng, spec.held_out, spec.counts) for _ in range(count)]
    np.save(stem.with_suffix(".npy"), np.stack([render(scene) for scene in scenes]))
    # The JSON is written last and by rename: where it exists, the shard is whole.
    part = stem.with_suffix(".part")
    part.write_text(json.dumps(scenes))
    part.rename(stem.with_suffix(".json"))


def make(processes: int | None = None, scenes: int | None = None) -> None:
    """scenes: in the training set, if not as many as two cores have the time for."""
    jobs = []
    for name, spec in SETS.items():
        size = scenes if scenes and name == "train" else spec.size
        (DATA / name).mkdir(parents=True, exist_ok=True)
        jobs += [(name, start // SHARD, min(SHARD, size - start)) for start in range(0, size, SHARD)]
    with multiprocessing.Pool(processes or os.cpu_count()) as pool:
        for _ in tqdm(pool.imap(_shard, jobs), total=len(jobs), unit="shard"):
            pass


def load(name: str) -> tuple[np.ndarray, list[dict]]:
    """All finished shards of a set: pictures uint8 [N, 128, 128, 3] and their scenes."""
    done = sorted((DATA / name).glob("*.json"))
    if not done:
        raise SystemExit(f"no {name} data under {DATA}: run `python -m scenes data` first")
    return np.concatenate([np.load(path.with_suffix(".npy")) for path in done]), load_scenes(name)


def load_scenes(name: str) -> list[dict]:
    """The scenes alone, in the order of `load`."""
    return [scene for path in sorted((DATA / name).glob("*.json")) for scene in json.loads(path.read_text())]
