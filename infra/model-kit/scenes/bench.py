"""Times the exported graphs with ONNX Runtime on two threads."""

import time

import numpy as np

from .export import session
from .paths import MODEL

STEPS = 25


def _time(run, seconds: float = 2.0) -> float:
    """Median milliseconds of a call."""
    run()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def bench() -> None:
    unet, decoder = session(MODEL / "unet" / "model.onnx"), session(MODEL / "vae_decoder" / "model.onnx")
    text = session(MODEL / "text_encoder" / "model.onnx")
    for batch in (1, 2, 4, 8, 16):
        feed = {"sample": np.random.randn(batch, 4, 16, 16).astype("float32"), "timestep": np.full(batch, 500, np.float32),
                "encoder_hidden_states": np.random.randn(batch, 32, 128).astype("float32")}
        took = _time(lambda: unet.run(None, feed))
        print(f"unet batch {batch:2}: {took:6.1f} ms, {took / batch:5.1f} ms a row")
        if batch == 2:
            pair = took
    z = np.random.randn(1, 4, 16, 16).astype("float32")
    decode = _time(lambda: decoder.run(None, {"latent_sample": z}))
    read = _time(lambda: text.run(None, {"input_ids": np.zeros((1, 32), np.int64)}))
    print(f"text {read:.1f} ms, decoder {decode:.1f} ms; a guided picture of {STEPS} steps: {(STEPS * pair + decode + 2 * read) / 1e3:.2f} s")
