"""Makes the golden files that the tests of worker-gpu/ compare with, from the reference implementations, in place of those that are there. See README.md."""

import argparse
import importlib
import warnings

# The first two make what others are made with.
NAMES = ["token-ids", "first-stages", "flux", "imports", "inputs", "noise", "paper", "samplers", "stable-diffusion", "stable-diffusion-3", "tiny"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/model-kit/reference", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="+", choices=[*NAMES, "all"], help=f"{', '.join(NAMES)}, or all")
    given = parser.parse_args()
    # Imported late: torch takes seconds.
    import diffusers
    import torch

    warnings.filterwarnings("ignore")
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name in NAMES if "all" in given.names else given.names:
        name = name.replace("-", "_")
        getattr(importlib.import_module(name), name)()


if __name__ == "__main__":
    main()
