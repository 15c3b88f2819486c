"""Trains the denoiser and τθ together: E ‖v − v_θ(z_t, t, τθ(y))‖², equation 3 of the paper in v-parameterisation.

    ᾱ_t   product of 1 − β up to t         z_t = √ᾱ_t z_0 + √(1 − ᾱ_t) ε         v = √ᾱ_t ε − √(1 − ᾱ_t) z_0
"""

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from . import compute, data, denoiser, first_stage, pipeline, together, tokenizer
from .average import Average
from .budget import Budget
from .captions import caption
from .paths import DENOISER, LATENTS, WORK
from .sheet import PROMPTS
from .sheets import save_grid

RATE = 8e-4
AVERAGE = 0.999  # decay of the weights' moving average
NO_CAPTION = 0.1  # share of empty prompts, which classifier-free guidance needs
MIDDLE = 0.4  # share of steps drawn from MIDDLE_RANGE, where it is decided what stands where
MIDDLE_RANGE = (400, 950)


def _shares(progress: float) -> np.ndarray:
    """Shares of scenes with one, two and three objects. One object first: there each word has only one thing to be about."""
    return np.array([0.8, 0.2, 0.0]) * (1 - progress) + np.array([0.3, 0.5, 0.2]) * progress


def _times(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Stratified timesteps [count]: one per equal slice of the mixture's distribution, which lowers the loss's variance."""
    u = (np.arange(count) + rng.random(count)) / count
    low, high = MIDDLE_RANGE
    grid = np.arange(1001)
    cumulative = (1 - MIDDLE) * grid / 1000 + MIDDLE * np.clip((grid - low) / (high - low), 0, 1)
    return torch.from_numpy(np.interp(u, cumulative, grid).astype(np.int64).clip(0, 999))


class _Model(nn.Module):
    """Both networks as one, so that they share an optimiser and an average."""

    def __init__(self, words: int):
        super().__init__()
        self.unet, self.text = denoiser.unet(), denoiser.text_encoder(words)

    def forward(self, z, t, tokens):
        return self.unet(z, t, self.text(tokens)[0]).sample


def _save(model, average, optimiser, step: int, spent: float) -> None:
    part = DENOISER.with_suffix(".part")
    torch.save({"model": model.state_dict(), "average": average.module.state_dict(), "optimiser": optimiser.state_dict(),
                "step": step, "spent": spent}, part)
    part.rename(DENOISER)


def _sheet(average) -> None:
    torch.manual_seed(0)
    pipe = pipeline.assemble(average.module.unet, average.module.text, first_stage.load().to(compute.DEVICE))
    save_grid(pipeline.draw(pipe, PROMPTS[:16]), 8, WORK / "training.png")


def train(minutes: float, sheet_minutes: float = 8) -> None:
    together.spawn(_train, minutes, sheet_minutes)
    finish()


def _train(minutes: float, sheet_minutes: float) -> None:
    torch.manual_seed(0)
    latents = torch.load(LATENTS)
    scenes = data.load_scenes("train")[: len(latents)]
    by_count = [[i for i, scene in enumerate(scenes) if len(scene["objects"]) == count] for count in (1, 2, 3)]
    by_count = [np.array(rows) for rows in by_count]
    words = tokenizer.build()
    alpha_bar = denoiser.scheduler().alphas_cumprod.to(compute.DEVICE)
    model = _Model(len(words)).to(compute.DEVICE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average, step, spent = Average(model, AVERAGE), 0, 0.0
    if DENOISER.exists():
        saved = torch.load(DENOISER, map_location=compute.DEVICE)
        model.load_state_dict(saved["model"])
        average.module.load_state_dict(saved["average"])
        if saved["optimiser"]:  # none where the shipped weights were restored
            optimiser.load_state_dict(saved["optimiser"])
        step, spent = saved["step"], saved["spent"]
        average.steps = step
    torch.manual_seed(1000 * step + together.rank())
    rng = np.random.default_rng([step, together.rank()])
    budget = Budget(minutes, spent, warm=0.02, flat=0.45)
    size = compute.batch(on_cpu=20, on_cuda=512)
    bar, mean, saved_at, shown_at = tqdm(total=100, unit="%", disable=together.rank() > 0), None, spent, spent
    progress, samples = budget.progress, size * together.count()
    while progress < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * budget.factor()
        rows = np.array([rng.choice(by_count[k]) for k in rng.choice(3, p=_shares(progress), size=size)])
        said = ["" if rng.random() < NO_CAPTION else caption(scenes[row], rng) for row in rows]
        tokens = tokenizer.encode(words, said).to(compute.DEVICE)
        z0 = latents[rows].to(compute.DEVICE).float()
        noise = torch.randn_like(z0)
        # Shuffled: rows are random anyway, but two rows of one scene should not be tied to neighbouring times.
        t = _times(size, rng)[torch.from_numpy(rng.permutation(size))].to(compute.DEVICE)
        signal, dirt = alpha_bar[t].sqrt()[:, None, None, None], (1 - alpha_bar[t]).sqrt()[:, None, None, None]
        z = (signal * z0 + dirt * noise).contiguous(memory_format=torch.channels_last)
        with compute.autocast():
            drawn = model(z, t, tokens)
        loss = (drawn.float() - (signal * noise - dirt * z0)).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        progress = together.average_gradients(model.parameters(), budget.progress)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if together.rank() > 0:
            continue
        average.update(model)
        mean = loss.item() if mean is None else 0.99 * mean + 0.01 * loss.item()
        if step % 20 == 0:
            bar.update(int(100 * budget.progress) - bar.n)
            bar.set_postfix(step=step, loss=f"{mean:.4f}")
        if step % 400 == 0:
            bar.write(f"{budget.spent:6.0f} s  step {step}  {step * samples} samples  loss {mean:.4f}")
        if budget.spent - saved_at > 120:
            saved_at = budget.spent
            _save(model, average, optimiser, step, budget.spent)
        if budget.spent - shown_at > 60 * sheet_minutes:
            shown_at = budget.spent
            _sheet(average)
    bar.close()
    if together.rank() > 0:
        return
    _save(model, average, optimiser, step, budget.spent)
    print(f"{step} steps, {step * samples} samples, loss {mean:.4f}")


def finish() -> None:
    """Writes the diffusers folder from the latest checkpoint's averaged weights; also works while training runs."""
    model = _Model(len(tokenizer.build()))
    model.load_state_dict(torch.load(DENOISER, map_location="cpu")["average"])
    pipeline.save(model.unet, model.text, first_stage.load())
