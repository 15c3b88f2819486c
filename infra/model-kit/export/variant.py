"""Which files of a diffusers folder hold its weights."""

import re
import sys
from pathlib import Path

# As diffusers and transformers name them: diffusion_pytorch_model.fp16.safetensors, model.fp16-00001-of-00002.safetensors, pytorch_model.bin.
SHARD = r"(?:-\d+-of-\d+)?"
WEIGHTS = re.compile(rf"(?:diffusion_pytorch_model|model|pytorch_model){SHARD}(?:\.(\w+?))?{SHARD}\.(?:safetensors|bin)")


def variant(folder: Path, parts: list[str]) -> str | None:
    """The variant that is to be loaded where a download has some part's weights in no other: None for those without such a name."""
    found = {part: {match[1] for file in sorted((folder / part).glob("*")) if (match := WEIGHTS.fullmatch(file.name))} for part in parts}
    alone = {part: names for part, names in found.items() if names and None not in names}
    if not alone:
        return None
    common = set.intersection(*alone.values())
    if not common:
        sys.exit(f"{folder}: expected weights of one variant, got {', '.join(f'{part} of {min(names)}' for part, names in alone.items())}")
    return "fp16" if "fp16" in common else min(common)
