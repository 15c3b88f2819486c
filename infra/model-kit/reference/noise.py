"""Noise of torch's CPU generator."""

import hashlib

import torch
from golden import floats, write


def noise() -> None:
    seeds = [0, 1, 42, 123456789, 4294967295]
    sizes = [*range(1, 71), 1024, 4099, 300007]

    def randn(size: int, seed: int) -> torch.Tensor:
        return torch.randn(size, generator=torch.Generator("cpu").manual_seed(seed))

    def digest(size: int) -> str:
        return hashlib.md5(b"".join(randn(size, seed).numpy().tobytes() for seed in seeds)).hexdigest()

    # One generator through draws of both kinds: below 16 values a second normal is kept for the next call.
    generator = torch.Generator("cpu").manual_seed(7)
    in_a_row = [floats(torch.randn(size, generator=generator)) for size in (3, 1, 20, 5, 17, 4)]
    write(
        "noise.json",
        {
            "seeds": seeds,
            "md5OfSize": {str(size): digest(size) for size in sizes},
            "values": {"3": floats(randn(3, 42)), "17": floats(randn(17, 42))},
            "inARow": in_a_row,
        },
    )
