"""Report of a harvest: one self-contained HTML page from a journal."""

from __future__ import annotations

from .facts import ReportFacts, add_names, gather
from .html import render, write_page, write_report
from .page_texts import names_hint

__all__ = [
    "ReportFacts",
    "add_names",
    "gather",
    "names_hint",
    "render",
    "write_page",
    "write_report",
]
