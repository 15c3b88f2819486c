"""Times other servers' way to the demo model's pictures: diffusers on torch, or Optimum's pipeline on ONNX Runtime.

`npm run bench -- engine` runs it beside its own figures: same weights, machine and threads. Prints JSON: seconds for one guided picture of 25 steps,
for eight in one call, and for pictures of the given steps one after another.
"""

import json
import os
import statistics
import time

import torch

from .paths import MODEL

PROMPT = "a large shiny red sphere on a grey floor"


def _timed(run, times: int) -> float:
    run()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _measure(pipe, steps: list[int], times: int) -> dict:
    pipe.set_progress_bar_config(disable=True)

    def draw(count: int, steps: int = 25):
        pipe([PROMPT] * count, height=128, width=128, num_inference_steps=steps, guidance_scale=3.0, output_type="np")

    return {"one": _timed(lambda: draw(1), times), "eight": _timed(lambda: draw(8), times),
            "mixed": _timed(lambda: [draw(1, n) for n in steps], 1)}


def _diffusers(threads: int):
    from . import pipeline, shipped

    return pipeline.assemble(*shipped.networks())


def _optimum(threads: int):
    from onnxruntime import SessionOptions
    from optimum.onnxruntime import ORTStableDiffusionPipeline

    options = SessionOptions()
    options.intra_op_num_threads = threads
    return ORTStableDiffusionPipeline.from_pretrained(MODEL, session_options=options, safety_checker=None, feature_extractor=None)


SERVERS = {"diffusers": _diffusers, "optimum": _optimum}


def rivals(server: str, steps: list[int], times: int, threads: int = os.cpu_count()) -> None:
    torch.set_num_threads(threads)
    with torch.inference_mode():
        print(json.dumps(_measure(SERVERS[server](threads), steps, times)))
