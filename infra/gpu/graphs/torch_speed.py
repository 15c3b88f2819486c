"""Seconds that PyTorch takes to draw with the networks of networks.py: half precision, channels last, scaled-dot-product attention, and compiled.

One line of JSON for each way. Only the U-Net and the decoder take part, in a loop as plain as can be, so that nothing slows it down. All steps are alike:
TIMED of them are timed, once for all, and the decoder once. First come all models as they are; then each one's U-Net is compiled for the shape of its largest batch, for
as long as there is time. What cannot be compiled, or not in time, says so.
"""

import argparse
import json
import os
import signal
import sys
import time

try:
    import torch
    from networks import WORDS, models
except ImportError as missing:
    print(f"not here: {missing}")
    sys.exit()


TIMED = 10


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("wanted", nargs="+", help="MODEL:PICTURES:STEPS:GUIDED")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA in this PyTorch")
        return
    if given.device == "cpu":
        torch.set_num_threads(1)  # Others may be at work.
    until = time.monotonic() + given.seconds
    known = models(given.tiny)
    drawn = []
    for wanted in given.wanted:
        name, pictures, steps, guided = wanted.split(":")
        whole = (2 if given.tiny else int(steps), guided == "1")
        counts = sorted({1, int(pictures)})
        try:
            network = Networks(known[name], given.device, given.tiny)
            for count in counts:
                tell(name, "as it is", count, network.draw(count, *whole))
            drawn.append((name, network, counts[-1], whole))
        except torch.OutOfMemoryError as error:
            print(f"{name}: {reason(error)}", flush=True)
        if time.monotonic() > until:
            return
    signal.signal(signal.SIGALRM, late)
    for name, network, count, whole in drawn:
        began = time.monotonic()
        try:
            signal.alarm(max(1, int(until - began)))
            network.unet.compile(dynamic=False)
            tell(name, "compiled", count, network.draw(count, *whole))
        except (Exception, Late) as error:
            print(f"{name}: not compiled in {time.monotonic() - began:.0f} s: {reason(error)}", flush=True)
        signal.alarm(0)
        if time.monotonic() > until - 1:
            os._exit(0)  # An exit would wait for what is still being compiled.


class Late(BaseException):
    """Not an Exception, of which torch.compile catches some."""


def late(*_) -> None:
    raise Late("no time left")


def reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def tell(model: str, way: str, pictures: int, seconds: float) -> None:
    print(json.dumps({"model": model, "way": way, "pictures": pictures, "seconds": seconds}), flush=True)


class Networks:
    def __init__(self, parts: dict, device: str, tiny: bool):
        half = torch.float16 if device == "cuda" else torch.float32
        with torch.device(device):
            made = [parts["unet"](), parts[next(name for name in parts if name in ("vae", "vqvae"))]()]
        self.unet, self.vae = (network.to(half, memory_format=torch.channels_last).eval() for network in made)
        config = self.unet.config
        self.device, self.side = device, 8 if tiny else config.sample_size
        self.channels, self.latents = config.in_channels, config.out_channels
        self.width = getattr(config, "cross_attention_dim", None)
        self.words = 1 if "class_embedder" in parts else WORDS
        self.pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim if config.get("addition_embed_type") else None
        self.random = lambda *shape: torch.randn(*shape, device=device, dtype=half)

    def draw(self, count: int, steps: int, guided: bool) -> float:
        """Seconds for so many pictures."""
        timed = min(steps, TIMED)
        z = self.walk(count, 2, guided)
        self.decode(z)
        began = self.now()
        z = self.walk(count, timed, guided)
        walked = self.now()
        self.decode(z)
        return (walked - began) * steps / timed + self.now() - walked

    def now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()

    def walk(self, count: int, steps: int, guided: bool) -> torch.Tensor:
        rows = count * (2 if guided else 1)
        x = self.random(count, self.latents, self.side, self.side).to(memory_format=torch.channels_last)
        beside = self.random(count, self.channels - self.latents, self.side, self.side) if self.channels > self.latents else None
        given = [self.random(rows, self.words, self.width)] if self.width else []
        added = {"text_embeds": self.random(rows, self.pooled), "time_ids": self.random(rows, 6)} if self.pooled else None
        more = {"added_cond_kwargs": added} if added else {}
        for step in range(steps):
            shown = x if beside is None else torch.cat([x, beside], 1)
            t = torch.full((rows,), 999.0 * (1 - step / steps), device=self.device)
            e = self.unet(torch.cat([shown, shown]) if guided else shown, t, *given, return_dict=False, **more)[0]
            if guided:
                none, words = e.chunk(2)
                e = none + 5 * (words - none)
            # A sampler's two coefficients; which ones makes no difference to the time.
            x = 0.99 * x - 0.01 * e
        return x

    def decode(self, latents: torch.Tensor) -> None:
        for z in latents.split(1 if self.side > 64 else 8):
            self.vae.decode(z, return_dict=False)[0].float().cpu()


if __name__ == "__main__":
    main()
