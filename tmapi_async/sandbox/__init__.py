"""A local server that behaves as the API does, faults included.

It imports nothing of the client, so that tests against it are honest.
"""

from __future__ import annotations

from .catalogue import ALL, Catalogue, Filters
from .config import Config
from .drift import Drift
from .faults import KINDS, Attempt, Faults
from .process import SandboxProcess, SandboxThread, serve
from .products import DOCUMENTED_CATEGORY
from .recorded import Recordings
from .server import Sandbox
from .stats import Listing, Stats

__all__ = [
    "ALL",
    "DOCUMENTED_CATEGORY",
    "KINDS",
    "Attempt",
    "Catalogue",
    "Config",
    "Drift",
    "Faults",
    "Filters",
    "Listing",
    "Recordings",
    "Sandbox",
    "SandboxProcess",
    "SandboxThread",
    "Stats",
    "serve",
]
