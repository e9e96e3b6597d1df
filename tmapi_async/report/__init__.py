"""Report of a harvest: one self-contained HTML page from a journal."""

from __future__ import annotations

from .facts import ReportFacts, gather
from .html import render, write_report

__all__ = ["ReportFacts", "gather", "render", "write_report"]
