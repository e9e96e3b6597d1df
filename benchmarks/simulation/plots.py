"""The plots that the documentation shows."""

from __future__ import annotations

from pathlib import Path


def draw(folder: Path) -> None:
    """Draw all of them."""
