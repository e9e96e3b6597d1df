"""From a journal to one self-contained page that people look at."""

from __future__ import annotations

from .facts import Facts, gather
from .html import render, write_report

__all__ = ["Facts", "gather", "render", "write_report"]
