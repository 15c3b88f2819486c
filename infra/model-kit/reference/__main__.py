"""Makes the golden files that the tests of worker-gpu/ compare with, from the reference implementations. See README.md."""

import sys
import warnings

import diffusers
import torch

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
torch.set_num_threads(1)

from imports import imports  # noqa: E402
from inputs import inputs  # noqa: E402
from noise import noise  # noqa: E402
from paper import paper  # noqa: E402
from samplers import samplers  # noqa: E402
from stable_diffusion import stable_diffusion  # noqa: E402
from tiny import tiny  # noqa: E402

makers = {"imports": imports, "inputs": inputs, "noise": noise, "paper": paper, "samplers": samplers, "stable-diffusion": stable_diffusion, "tiny": tiny}
for name in sys.argv[1:] or makers:
    makers[name]()
