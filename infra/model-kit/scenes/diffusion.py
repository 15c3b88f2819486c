"""The training of every denoiser here, whatever it is told: E ‖v − v_θ(z_t, t, y)‖², equation 3 of the paper in v-parameterisation.

    ᾱ_t   product of 1 − β up to t         z_t = √ᾱ_t z_0 + √(1 − ᾱ_t) ε         v = √ᾱ_t ε − √(1 − ᾱ_t) z_0
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedModel

from . import compute, denoiser, together
from .average import Average
from .budget import Budget

MIDDLE = 0.4  # share of steps drawn from MIDDLE_RANGE, where it is decided what stands where and of what it is
MIDDLE_RANGE = (200, 900)
SAVE_SECONDS = 60


def _times(count: int, rng: np.random.Generator) -> np.ndarray:
    """Stratified timesteps [count]: one per equal slice of the mixture's distribution, which lowers the loss's variance."""
    u = (np.arange(count) + rng.random(count)) / count
    low, high = MIDDLE_RANGE
    grid = np.arange(1001)
    cumulative = (1 - MIDDLE) * grid / 1000 + MIDDLE * np.clip((grid - low) / (high - low), 0, 1)
    times = np.interp(u, cumulative, grid).astype(np.int64).clip(0, 999)
    # Shuffled: rows are random anyway, but two rows of one scene should not be tied to neighbouring times.
    return rng.permutation(times)


def _save(path: Path, model, average, optimiser, step: int, spent: float) -> None:
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "average": average.module.state_dict(), "optimiser": optimiser.state_dict(),
                "step": step, "spent": spent}, part)
    part.rename(path)


def load(model: nn.Module, path: Path) -> nn.Module:
    """The averaged weights of a checkpoint, in evaluation mode; also works while the training runs."""
    model.load_state_dict(torch.load(path, map_location="cpu")["average"])
    return model.eval().requires_grad_(False)


def effort(path: Path) -> dict:
    """What went into a checkpoint: steps, and minutes of each process."""
    saved = torch.load(path, map_location="cpu")
    return {"steps": saved["step"], "minutes": round(saved["spent"] / 60, 2)}


@cache
def _alpha_bar() -> torch.Tensor:
    return denoiser.scheduler().alphas_cumprod.to(compute.DEVICE)


def velocity(model: nn.Module, z0: torch.Tensor, t: torch.Tensor, told: tuple) -> torch.Tensor:
    """The loss of a denoiser."""
    noise, alpha_bar = torch.randn_like(z0), _alpha_bar()[t]
    signal, dirt = alpha_bar.sqrt()[:, None, None, None], (1 - alpha_bar).sqrt()[:, None, None, None]
    z = (signal * z0 + dirt * noise).contiguous(memory_format=compute.FORMAT)
    with compute.autocast():
        drawn = model(z, t, *told)
    return (drawn.float() - (signal * noise - dirt * z0)).square().mean()


class _Norm(nn.GroupNorm):
    """In the type that it is given: autocast would make float32 of that, and of what follows up to the next convolution."""

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return F.group_norm(x, self.num_groups, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def _for_cuda(model: nn.Module) -> None:
    """What is quicker there: norms in half precision, and fused attention. (transformers' written-out one makes a tensor on the host in every call, besides,
    which no recording can hold.)"""
    for part in model.modules():
        if type(part) is nn.GroupNorm:
            part.__class__ = _Norm
        elif isinstance(part, Attention):
            part.set_processor(AttnProcessor2_0())
        elif isinstance(part, PreTrainedModel):
            part.set_attn_implementation("sdpa")


def _recorded(learn: Callable, inputs: list[torch.Tensor]) -> Callable:
    """On CUDA: records what `learn` launches and replays that for every further batch. Launching its thousands of kernels one by one takes longer than they do."""
    mine = [each.clone() for each in inputs]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # as torch.cuda.graph wants it: what is allocated at the first steps is no part of the recording
        for _ in range(3):
            learn(*mine)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = learn(*mine)

    def replay(*inputs: torch.Tensor) -> torch.Tensor:
        for kept, new in zip(mine, inputs):
            kept.copy_(new)
        graph.replay()
        return loss

    return replay


def train(model: nn.Module, batch: Callable, checkpoint: Path, minutes: float, *, sheet: Callable | None = None, objective: Callable = velocity,
          rate: float = 8e-4, decay: float = 0.999, flat: float = 0.45, sheet_minutes: float = 8) -> None:
    """Runs in each of together.py's processes until the budget is spent; goes on from `checkpoint` where there is one.

    model       v_θ(z_t, t, *y), the same weights in every process; what its forward calls is the caller's matter
    batch       (rng, progress 0–1) → (z_0 [B, …], y): clean latents, or pixels, of unit scale, and a tuple of whatever else the model takes
    sheet       draws with the averaged model, every sheet_minutes
    objective   (model, z_0, t, y) → loss
    decay       of the weights' moving average
    flat        where the learning rate begins to fall, as a share of the budget
    """
    on_cuda = compute.DEVICE.type == "cuda"
    model = model.to(compute.DEVICE)
    if on_cuda:
        _for_cuda(model)
    # A recording reads the rate where it lies.
    lr = torch.tensor(rate, device=compute.DEVICE) if on_cuda else rate
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True, capturable=on_cuda)
    average, step, spent = Average(model, decay), 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=compute.DEVICE)
        model.load_state_dict(saved["model"])
        average.module.load_state_dict(saved["average"])
        if saved["optimiser"]:  # none where the shipped weights were restored
            optimiser.load_state_dict(saved["optimiser"])
            for group in optimiser.param_groups:  # as it is here, whatever the last run was on
                group |= {"lr": lr, "capturable": on_cuda}
        step, spent = saved["step"], saved["spent"]
        average.steps = step
    torch.manual_seed(1000 * step + together.rank())
    rng = np.random.default_rng([step, together.rank()])
    budget = Budget(minutes, spent, warm=0.02, flat=flat)

    def learn(z0: torch.Tensor, t: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        loss = objective(model, z0.float(), t, told)
        loss.backward()
        together.average_gradients(model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss.detach()

    recordings = {}  # of each size of a batch
    bar, mean, saved_at, shown_at = tqdm(total=100, unit="%", disable=together.rank() > 0), None, spent, spent
    while (progress := together.agree(budget.progress)) < 1:
        for group in optimiser.param_groups:
            if on_cuda:
                group["lr"].fill_(rate * budget.factor())
            else:
                group["lr"] = rate * budget.factor()
        z0, told = batch(rng, progress)
        inputs = [part.to(compute.DEVICE) for part in (z0, compute.send(_times(len(z0), rng)), *told)]
        if on_cuda:
            size = tuple(z0.shape)
            if size not in recordings:
                recordings[size] = _recorded(learn, inputs)
            loss = recordings[size](*inputs)
        else:
            loss = learn(*inputs)
        step += 1
        if together.rank() > 0:
            continue
        average.update(model)
        mean = loss.clone() if mean is None else mean.lerp_(loss, 0.01)
        if step % 20 == 0:
            bar.update(int(100 * budget.progress) - bar.n)
            bar.set_postfix(step=step, loss=f"{mean.item():.4f}")
        if step % 400 == 0:
            bar.write(f"{budget.spent:6.0f} s  step {step}  {step * len(z0) * together.count()} samples  loss {mean.item():.4f}")
        if budget.spent - saved_at > SAVE_SECONDS:
            saved_at = budget.spent
            _save(checkpoint, model, average, optimiser, step, budget.spent)
        if sheet and budget.spent - shown_at > 60 * sheet_minutes:
            shown_at = budget.spent
            sheet(average.module)
    bar.close()
    if together.rank() == 0 and mean is not None:
        _save(checkpoint, model, average, optimiser, step, budget.spent)
        print(f"{step} steps, {step * len(z0) * together.count()} samples, loss {mean.item():.4f}")
