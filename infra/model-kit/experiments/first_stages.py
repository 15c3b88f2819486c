"""How well each first stage gives unseen pictures back: the paper's table 8, at our scale."""

import numpy as np
import torch
from scenes import compute, data, first_stage
from scenes.sheets import to_uint8
from tqdm import tqdm

from . import measures, results

PICTURES = 500  # of the unseen ones


@torch.no_grad()
def _measure(name: str, pictures: np.ndarray) -> dict:
    kind, model = first_stage.KINDS[name], first_stage.load(name).to(compute.DEVICE)
    drawn, used = [], torch.zeros(max(kind.codes, 1))
    for start in tqdm(range(0, len(pictures), 50), desc=name):
        z = first_stage.encode(model, compute.pictures(pictures[start : start + 50]))
        drawn.append(to_uint8(first_stage.decode(model, z)))
        if kind.codes:
            used += torch.bincount(first_stage.round_to_codes(model, z)[2], minlength=kind.codes).cpu()
    found = {
        "f": kind.factor, "channels": kind.channels, "numbers": kind.channels * (128 // kind.factor) ** 2,
        "encoder": sum(p.numel() for p in model.encoder.parameters()), "decoder": sum(p.numel() for p in model.decoder.parameters()),
        "psnr": measures.psnr(np.concatenate(drawn), pictures), "ssim": measures.ssim(np.concatenate(drawn), pictures),
    }
    if kind.codes:
        share = used / used.sum()
        # Perplexity: so many codes used equally often would say as much.
        found |= {"codes": kind.codes, "used": int((used > 0).sum()), "perplexity": float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))}
    return found


def measure() -> None:
    pictures = data.load("real")[0][:PICTURES]
    trained = [name for name in first_stage.KINDS if first_stage.weights(name).exists()]
    results.save("first-stages", {"pictures": PICTURES, "kinds": {name: _measure(name, pictures) for name in trained}})
