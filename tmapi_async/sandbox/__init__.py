"""A local server that behaves like the API, including its faults.

The sandbox imports nothing from the client, so that it cannot share a mistake with the client.
"""

from __future__ import annotations

from tmapi_async.sandbox.catalogue.catalogue import Catalogue
from tmapi_async.sandbox.catalogue.choice import ALL, EVERYTHING, Choice, Filters
from tmapi_async.sandbox.catalogue.prices import Prices
from tmapi_async.sandbox.catalogue.products import DOCUMENTED_CATEGORY
from tmapi_async.sandbox.catalogue.tree import Node, Tree
from tmapi_async.sandbox.responses.config import Config
from tmapi_async.sandbox.responses.drift import Drift
from tmapi_async.sandbox.responses.faults import KINDS, Attempt, Faults
from tmapi_async.sandbox.responses.recordings import Recordings
from tmapi_async.sandbox.responses.stats import Listing, Stats
from tmapi_async.sandbox.server.process import SandboxProcess, SandboxThread, serve
from tmapi_async.sandbox.server.server import Sandbox

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
