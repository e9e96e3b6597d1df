"""Splitting: divide a listing that the API cuts short at its ceiling until every part fits.

No module here does I/O. `SplitPlanner` decides which parts of one listing to ask for, from the
pages that it has seen. `SplitDriver` connects planners with a crawler. `price_bands` has the
arithmetic of price bands, `queries` describes parts as listings, `estimates` computes the expected
cost and the final result.
"""

from .eligibility import SplittableListings, can_split, splittable_listing
from .planner import SplitPlanner
from .queries import Observation, SplitQuery
from .reconciliation import Expectation, Piece, Reconciliation

__all__ = [
    "Expectation",
    "Observation",
    "Piece",
    "Reconciliation",
    "SplitPlanner",
    "SplitQuery",
    "SplittableListings",
    "can_split",
    "splittable_listing",
]
