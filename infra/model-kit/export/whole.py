"""A folder that is there whole or not at all."""

import errno
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A folder beside `target`, which gets its name at the end: whatever goes wrong, a later try finds nothing in its way, and nobody serves a half."""
    if target.exists():
        sys.exit(f"{target}: expected a folder that does not exist yet")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        sys.exit(f"{target}: expected a folder that can be made, got: {error}")
    try:
        written = made / target.name  # The other is its maker's alone, and a node may be another user.
        written.mkdir()
        yield written
        written.rename(target)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(f"{target}: expected a disk with room for it, got: {error.strerror}")
    finally:
        shutil.rmtree(made)
