"""Which pages of a journal are exported."""

from __future__ import annotations

from ..harvest.stored import StoredPage

__all__ = ["StoredPage"]
