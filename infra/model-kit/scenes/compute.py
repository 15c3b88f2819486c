"""Picks the device and the arithmetic: bfloat16 under autocast with float32 weights, on CUDA and on CPUs alike."""

import os

import numpy as np
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
torch.set_float32_matmul_precision("high")
# Of latents and convolutions in memory. CUDA's group norms take no other than torch's own.
FORMAT = torch.contiguous_format if DEVICE.type == "cuda" else torch.channels_last


def autocast():
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16)


def batch(on_cpu: int, on_cuda: int) -> int:
    return on_cuda if DEVICE.type == "cuda" else on_cpu


def pictures(array) -> torch.Tensor:
    """uint8 [N, 128, 128, 3] to float32 [N, 3, 128, 128] in [-1, 1], channels last in memory."""
    tensor = torch.from_numpy(array).to(DEVICE).permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.contiguous(memory_format=torch.channels_last)


def send(array: np.ndarray) -> torch.Tensor:
    """To the device, which need not have ended what it was given before."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(DEVICE, non_blocking=True) if DEVICE.type == "cuda" else tensor
