"""A local server that behaves as the API does, faults included.

It imports nothing of the client, so that tests against it are honest.
"""

from __future__ import annotations

from .catalogue import Catalogue
from .choice import ALL, EVERYTHING, Choice, Filters
from .config import Config
from .drift import Drift
from .faults import KINDS, Attempt, Faults
from .prices import Prices
from .process import SandboxProcess, SandboxThread, serve
from .products import DOCUMENTED_CATEGORY
from .recorded import Recordings
from .server import Sandbox
from .stats import Listing, Stats
from .tree import Node, Tree

__all__ = [
    "ALL",
    "DOCUMENTED_CATEGORY",
    "EVERYTHING",
    "KINDS",
    "Attempt",
    "Catalogue",
    "Choice",
    "Config",
    "Drift",
    "Faults",
    "Filters",
    "Listing",
    "Node",
    "Prices",
    "Recordings",
    "Sandbox",
    "SandboxProcess",
    "SandboxThread",
    "Stats",
    "Tree",
    "serve",
]
