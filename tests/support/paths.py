"""Places in the checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

SUPPORT = ROOT / "tests" / "support"
"""Helpers; some of them are run as programs."""

DATA = ROOT / "tests" / "data"
"""Files that tests read."""

SAMPLES = DATA / "samples"
"""Replies of every documented shape. The field names and types are the API document's; the values
are invented."""
