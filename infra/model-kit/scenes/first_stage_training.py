"""Trains a first stage, encoder and decoder together, then the decoder alone.

The paper's perceptual and adversarial terms need a pretrained VGG and a long game; on pictures this clean a gradient
term does their work (sharp edges) in minutes. The second part, `polish`, leaves the latents as they are and weights
object edges up: that is where the remaining error lies. It can be repeated after the denoiser is trained.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from . import compute, data, first_stage, together
from .average import Average
from .budget import Budget
from .camera import project
from .codebook import Codebook
from .sheets import save_grid

CROPS = 0.6  # share of the joint training on 64×64 crops, a quarter of the cost
JOINT = 0.7  # share of the whole time for the joint training
KL = 1e-4
PLAIN = 0.08  # share of a VQ one's joint training before anything is rounded
SETTLED = 0.6  # share after which no row of the codebook moves any more: the average has to catch up
RATE = 1.0e-3
SHOWN = 64  # pictures kept out of the training to measure on


def _slopes(x: torch.Tensor) -> list:
    return [x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]]


def _loss(drawn, truth, weight=1.0):
    """L1 + 2·MSE + 0.7 × gradient L1 at three scales; weight [B, 1, H, W] scales the first two per pixel."""
    loss = ((drawn - truth).abs() * weight).mean() + 2 * ((drawn - truth) ** 2 * weight).mean()
    for _ in range(3):
        loss = loss + 0.7 / 3 * sum((a - b).abs().mean() for a, b in zip(_slopes(drawn), _slopes(truth)))
        drawn, truth = F.avg_pool2d(drawn, 2), F.avg_pool2d(truth, 2)
    return loss


def _edges(truth):
    """1 on flat floor rising to 5 on object edges, [B, 1, H, W]."""
    across, down = (slope.abs().sum(1, keepdim=True) for slope in _slopes(truth))
    return 1 + 4 * F.max_pool2d(F.pad(across, (0, 1)) + F.pad(down, (0, 0, 0, 1)), 3, 1, 1).clamp(0, 1)


def corner(scene: dict, rng: np.random.Generator, multiple: int = 1) -> tuple[int, int]:
    """Where to cut 64×64 pixels around one of the objects: x, y. The empty floor is learnt soon enough."""
    thing = scene["objects"][rng.integers(len(scene["objects"]))]
    at = project(np.array([[thing["x"], thing["y"], 0.5]], np.float32))[0].astype(int) - rng.integers(8, 56, size=2)
    x, y = np.clip(at, 0, 64) // multiple * multiple
    return x, y


def _crop(picture: np.ndarray, scene: dict, rng: np.random.Generator) -> np.ndarray:
    x, y = corner(scene, rng)
    return picture[y : y + 64, x : x + 64]


def psnr(drawn, truth) -> float:
    """Decibels for pictures in [-1, 1], mean over pictures."""
    return (10 * torch.log10(4 / ((drawn.clamp(-1, 1) - truth) ** 2).mean((1, 2, 3)))).mean().item()


@torch.no_grad()
def report(model, shown, name: str) -> float:
    """PSNR in dB on pictures [N, 3, 128, 128], and a sheet of them beside their reconstructions."""
    drawn = first_stage.decode(model, first_stage.encode(model, shown))
    save_grid(torch.stack([shown, drawn], 1).flatten(0, 1)[:48], 8, first_stage.weights(name).with_suffix(".png"))
    return psnr(drawn, shown)


def _step(model, optimiser, loss, average, budget) -> float:
    """One update; returns the progress that all processes agree on."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    together.average_gradients(model.parameters())
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    average.update(model)
    return together.agree(budget.progress)


def _bar():
    return tqdm(total=100, unit="%", disable=together.rank() > 0)


def _kl(model, truth, _) -> tuple:
    """Reconstructions, and the penalty on their latents."""
    latent = model.encode(truth).latent_dist
    penalty = 0.5 * (latent.mean.float() ** 2 + latent.var.float() - 1 - latent.logvar.float()).mean()
    return model.decode(latent.sample()).sample, KL * penalty


class _Rounding:
    """As `_kl`, for a VQ one: first without its codebook, which then begins where the latents are."""

    def __init__(self, model, begun: bool):
        self._codebook, self._begun = Codebook(model), begun

    def __call__(self, model, truth, progress: float) -> tuple:
        z = first_stage.encode(model, truth)
        if progress < PLAIN:
            return model.decode(z, force_not_quantize=True).sample, 0.0
        if not self._begun:
            self._codebook.begin(z)
            self._begun = True
        rounded, apart, codes = first_stage.round_to_codes(model, z)
        if progress < SETTLED:
            self._codebook.tend(z, codes)
        return model.decode(rounded, force_not_quantize=True).sample, apart


def _joint(name: str, minutes: float) -> None:
    pictures, scenes = data.load("train")
    shown, pictures = compute.pictures(pictures[-SHOWN:]), pictures[:-SHOWN]
    torch.manual_seed(0)
    model = first_stage.build(name).to(compute.DEVICE)
    run = _run(name)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=1e-4)
    average, step, spent = Average(model, 0.996), 0, 0.0
    if run.exists():
        saved = torch.load(run, map_location=compute.DEVICE)
        model.load_state_dict(saved["model"])
        average.module.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step, spent, average.steps = saved["step"], saved["spent"], saved["step"]
    torch.manual_seed(1000 * step + together.rank())
    rng = np.random.default_rng([step, together.rank()])
    budget = Budget(minutes, spent, warm=0.02, flat=0.4)
    progress, size, bar = budget.progress, compute.batch(on_cpu=3, on_cuda=64), _bar()
    draw = _Rounding(model, begun=progress >= PLAIN) if first_stage.KINDS[name].codes else _kl
    while progress < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * budget.factor()
        if progress < CROPS:
            truth = compute.pictures(np.stack([_crop(pictures[i], scenes[i], rng) for i in rng.integers(len(pictures), size=2 * size)]))
        else:
            truth = compute.pictures(pictures[rng.integers(len(pictures), size=size)])
        with compute.autocast():
            drawn, penalty = draw(model, truth, progress)
        loss = _loss(drawn.float(), truth) + penalty
        progress = _step(model, optimiser, loss, average, budget)
        step += 1
        if together.rank() > 0:
            continue
        if step % 20 == 0:
            bar.update(int(100 * progress) - bar.n)
            bar.set_postfix(step=step, loss=f"{loss.item():.4f}")
        if step % 250 == 0:
            bar.write(f"{budget.spent:6.0f} s  step {step}  PSNR {report(average.module, shown, name):.2f} dB")
            torch.save({"model": model.state_dict(), "average": average.module.state_dict(), "optimiser": optimiser.state_dict(),
                        "step": step, "spent": budget.spent}, run)
    bar.close()
    if together.rank() > 0:
        return
    final = average.module
    with torch.no_grad():
        z = torch.cat([first_stage.encode(final, compute.pictures(pictures[i : i + 64])) for i in range(0, 1024, 64)])
    scaling = 1 / z.std().item()
    if first_stage.KINDS[name].codes:
        first_stage.unit_variance(final, z.mean((0, 2, 3)), (z - z.mean((0, 2, 3), keepdim=True)).std().item())
        scaling = 1.0
    print(f"{step} steps, PSNR {report(final, shown, name):.2f} dB on {SHOWN} unseen pictures, latent std {z.std():.3f}")
    torch.save({"average": final.state_dict(), "scaling": scaling}, first_stage.weights(name))


def _polish(name: str, minutes: float) -> None:
    pictures, _ = data.load("train")
    shown, pictures = compute.pictures(pictures[-SHOWN:]), pictures[:-SHOWN]
    torch.manual_seed(together.rank())
    rng = np.random.default_rng([9, together.rank()])
    model = first_stage.load(name).to(compute.DEVICE)
    scaling = model.config.scaling_factor
    trained = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained, lr=RATE / 2, betas=(0.9, 0.98), weight_decay=1e-4)
    average, budget, progress, step = Average(model, 0.996), Budget(minutes, warm=0.04, flat=0.4), 0.0, 0
    size, bar = compute.batch(on_cpu=3, on_cuda=64), _bar()
    while progress < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE / 2 * budget.factor()
        truth = compute.pictures(pictures[rng.integers(len(pictures), size=size)])
        with compute.autocast():
            with torch.no_grad():
                z = first_stage.encode(model, truth)
            # Drawn latents are never exact, so the decoder learns to shrug off a twentieth of their spread.
            drawn = first_stage.decode(model, z + 0.05 / scaling * torch.randn_like(z))
        loss = _loss(drawn.float(), truth, _edges(truth))
        progress = _step(model, optimiser, loss, average, budget)
        step += 1
        if step % 20 == 0:
            bar.update(int(100 * progress) - bar.n)
            bar.set_postfix(step=step, loss=f"{loss.item():.4f}")
    bar.close()
    if together.rank() == 0:
        print(f"{step} steps, PSNR {report(average.module, shown, name):.2f} dB after the decoder's own training")
        torch.save({"average": average.module.state_dict(), "scaling": scaling}, first_stage.weights(name))


def _run(name: str) -> Path:
    """Where a joint training that is under way lies, optimiser and all."""
    weights = first_stage.weights(name)
    return weights.with_stem(f"{weights.stem}-run")


def polish(name: str, minutes: float) -> None:
    together.spawn(_polish, name, minutes)


def train(name: str, minutes: float) -> None:
    if not first_stage.weights(name).exists():
        together.spawn(_joint, name, minutes * JOINT)
    polish(name, minutes * (1 - JOINT))
    if name == first_stage.SHIPPED:  # others' latents are made by whoever needs them
        first_stage.encode_all()
