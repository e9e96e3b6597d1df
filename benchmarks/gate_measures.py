"""Workloads of the gate benchmark, and figures computed from the traces of its clients."""

from __future__ import annotations

import bisect
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from math import inf
from random import Random
from typing import Any, Self

from tmapi_async.sandbox import Attempt, Config
from tmapi_async.sandbox.server.backend import work_seconds as drawn

from .baselines import PATH
from .simulation.checks import Check

PAGE_SIZE = 20
FULL = 0.9
"""Share of the limit from which the gate counts as full."""

END = 0.95
"""Share of the pages after which work may run out, so that measuring stops."""


@dataclass(frozen=True)
class Bench:
    """A server and its catalogue.

    Attributes:
        sizes: Category ID -> pages.
        limit: Number of requests that the server works on at once.
        latency: Mean seconds of work.
        sigma: Standard deviation of its logarithm.
        seed: Seed of the latencies.
    """

    sizes: dict[int, int]
    limit: int
    latency: float
    sigma: float
    seed: int = 1

    def sandbox(self) -> dict[str, Any]:
        """Return the options of the sandbox."""
        return {
            "categories": {cat_id: pages * PAGE_SIZE for cat_id, pages in self.sizes.items()},
            "page_size": PAGE_SIZE,
            "limit": self.limit,
            "latency": self.latency,
            "latency_sigma": self.sigma,
            "seed": self.seed,
        }

    def text(self) -> str:
        """Encode as JSON, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """Decode the output of `text`."""
        fields = json.loads(text)
        sizes = {int(cat_id): pages for cat_id, pages in fields.pop("sizes").items()}
        return cls(sizes, **fields)

    @property
    def pages(self) -> int:
        """Number of pages of all listings."""
        return sum(self.sizes.values())

    @cached_property
    def mean(self) -> float:
        """Mean of the seconds of work drawn for these pages, not of the distribution."""
        # A request that is refused draws nothing, so each page has one latency for every client.
        config = Config(seed=self.seed, latency=self.latency, latency_sigma=self.sigma)
        total = sum(
            drawn(config, Attempt(PATH, (("cat_id", str(cat_id)),), cat_id, page, 0))
            for cat_id, pages in self.sizes.items()
            for page in range(1, pages + 1)
        )
        return total / self.pages

    @property
    def bound(self) -> float:
        """Shortest possible time in seconds to get all pages."""
        return self.pages * self.mean / self.limit


def skewed(listings: int, pages: int, seed: int) -> dict[int, int]:
    """Return sizes in pages: a giant with 30 % of all, the others Zipf 1.1, shuffled."""
    weights = [rank**-1.1 for rank in range(1, listings)]
    scale = 0.7 * pages / sum(weights)
    sizes = [round(0.3 * pages), *(max(1, round(weight * scale)) for weight in weights)]
    Random(seed).shuffle(sizes)  # noqa: S311 - a benchmark must be repeatable
    return dict(enumerate(sizes, start=1))


def figures(trace: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """Compute the figures of a trace, for the time while work remains.

    Returns:
        share: Pages a second as a share of C / L, from the first attempt on.
        steady: The same share from the moment when 90 % of the slots were in use.
        to_90: Time of that moment, in mean latencies from the first attempt.
        refusals: Number of 503s; `refused` is the same number per page.
        wasted: Number of requests past the end of a listing.
        requests: Number of attempts.
    """
    start = min(trace["sent"])
    done = sorted(moment - start for moment in trace["done"])
    end = done[int(END * len(done)) - 1]
    to_90 = first_full([moment - start for moment in trace["sent"]], done, bench, end)
    return {
        "share": _share(done, 0.0, end, bench),
        "steady": None if to_90 is None else _share(done, to_90, end, bench),
        "to_90": None if to_90 is None else to_90 / bench.latency,
        "refusals": trace["refused"],
        "refused": trace["refused"] / bench.pages,
        "wasted": trace["wasted"],
        "requests": trace["requests"],
    }


def _share(done: list[float], start: float, end: float, bench: Bench) -> float:
    pages = bisect.bisect_right(done, end) - bisect.bisect_right(done, start)
    return pages * bench.mean / (bench.limit * (end - start))


def first_full(sent: list[float], done: list[float], bench: Bench, end: float) -> float | None:
    """Find the first moment from which 90 % of the slots are in use for a mean latency."""
    events = sorted([(moment, 1) for moment in sent] + [(moment, -1) for moment in done])
    moments = [moment for moment, _ in events]
    levels = list(accumulate(change for _, change in events))
    areas = [0.0]
    for before, after, level in zip(moments, moments[1:], levels, strict=False):
        areas.append(areas[-1] + level * (after - before))

    def area(moment: float) -> float:
        index = bisect.bisect_right(moments, moment) - 1
        return areas[index] + levels[index] * (moment - moments[index])

    for moment in moments:
        after = moment + bench.latency
        if after > end:
            return None
        if area(after) - area(moment) >= FULL * bench.limit * bench.latency:
            return moment
    return None


def promises(result: dict[str, list[dict[str, Any]]]) -> list[Check]:
    """Check the promises of a full run, part by part."""
    checks = []
    for row in result.get("gate", ()):
        at = f"C={row['limit']}, {row['client']}"
        if row["client"] in {"auto", "concurrency=C"}:
            reached = inf if row["to_90"] is None else row["to_90"]
            allowed = 3 + 0.002 * row["requests"] if row["client"] == "auto" else 0
            checks += [
                Check(f"{at}: mean latencies until 90 %", [reached], 15),
                Check(f"{at}: of C / L from then on", [row["steady"] or 0.0], 0.94, at_least=True),
                Check(f"{at}: 503s", [row["refusals"]], allowed),
            ]
    for row in result.get("listing", ()):
        if row["client"] == "look-ahead auto":
            checks += [
                Check("one listing: median times faster", [row["times"]], 6, at_least=True),
                Check("one listing: pages wasted", [row["wasted"]], 8),
            ]
    for row in result.get("set", ()):
        if row["client"] == "look-ahead auto":
            checks += [
                Check("skewed set: seconds / bound", [row["times"]], 1.10),
                Check("skewed set: waste, share of requests", [row["waste"]], 0.02),
            ]
    return checks
