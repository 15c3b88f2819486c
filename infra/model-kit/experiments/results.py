"""Raw results, a small JSON file for each experiment, which the report is written from."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


def save(name: str, found: dict) -> None:
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent="\t", ensure_ascii=False) + "\n")
    print(json.dumps(found, indent=2, ensure_ascii=False))


def load(name: str) -> dict | None:
    """None where it has not been run."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
