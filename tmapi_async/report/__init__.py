"""From a journal to one self-contained page that people look at."""

from __future__ import annotations

from .facts import ReportFacts, gather
from .html import render, write_report

__all__ = ["ReportFacts", "gather", "render", "write_report"]
