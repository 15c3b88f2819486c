"""Networks whose every weight was found."""

import sys
from contextlib import contextmanager
from unittest.mock import patch

import torch
from transformers import PreTrainedModel

# Heads that no graph has (see parts.py): BERT's pooler, without which a model may be saved, and the logits of latent diffusion's.
UNREAD = ("pooler.", "to_logits.")


@contextmanager
def complete():
    """Refuses, as transformers loads it in here, a network with missing weights, for which it takes random ones and says so in its log alone, or with some of another size."""
    load = PreTrainedModel.from_pretrained.__func__

    def from_pretrained(cls, folder, *given, **more):
        network, told = load(cls, folder, *given, **more, output_loading_info=True, ignore_mismatched_sizes=True)
        missing = sorted(key for key in told["missing_keys"] if not key.startswith(UNREAD))
        refuse(folder, cls.__name__, missing)
        for key, got, expected in sorted(told["mismatched_keys"]):
            sys.exit(f"{folder}: {key}: expected a weight of {list(expected)}, as config.json has it, got {list(got)}")
        return network

    with patch.object(PreTrainedModel, "from_pretrained", classmethod(from_pretrained)):
        yield


def absent(network: torch.nn.Module) -> list[str]:
    """The weights that diffusers found none for, which it leaves without values."""
    return [key for key, weight in network.named_parameters() if weight.is_meta]


def refuse(folder, name: str, missing: list[str]) -> None:
    if missing:
        sys.exit(f"{folder}: expected weights for all of {name}, found none for {len(missing)}: {', '.join(missing[:3])}")
