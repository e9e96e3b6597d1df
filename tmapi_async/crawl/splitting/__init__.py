"""Past the ceiling: a listing that the API cuts short is divided until every part fits.

Pure: the planner of one listing (`SplitPlanner`) is fed what pages show and tells what to ask next.
`bands` has the arithmetic of price bands, `asking` the parts as listings, `planner` the decisions,
`reckoning` what is to be expected and what came of it.
"""

from .eligibility import Divisible, divisible
from .planner import SplitPlanner
from .queries import Observation, SplitQuery
from .reconciliation import Expectation, Piece, Reconciliation

__all__ = [
    "Divisible",
    "Expectation",
    "Observation",
    "Piece",
    "Reconciliation",
    "SplitPlanner",
    "SplitQuery",
    "divisible",
]
