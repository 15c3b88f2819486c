"""Files of settings, which people edit by hand and copy halfway."""

import json
import sys
from pathlib import Path


def read(file: Path) -> dict:
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        sys.exit(f"{file}: expected JSON, got: {error}")
    if not isinstance(saved, dict):
        sys.exit(f"{file}: expected a JSON object, got {type(saved).__name__}")
    return saved
