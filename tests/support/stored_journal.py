"""A copy of the journal of `tests/data` for tests that read, copy or damage a whole journal."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from tests.support.paths import DATA

if TYPE_CHECKING:
    from pathlib import Path


def copy_stored_journal(path: Path) -> Path:
    """Write the stored journal to `path`: 39 pages of 19 visits, dictionaries, parts, rejects."""
    path.write_bytes(gzip.decompress((DATA / "journal-v3.journal.gz").read_bytes()))
    path.chmod(0o600)
    return path
