"""Promises and their measured values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Check:
    """One promise over many seeds.

    Attributes:
        name: Subject and measure of the promise.
        values: Measured values, one for each seed.
        bound: The promised limit; one for each seed if it depends on the run.
        at_least: True if the bound is a minimum, False if it is a maximum.
    """

    name: str
    values: Sequence[float]
    bound: float | Sequence[float]
    at_least: bool = False

    def margins(self) -> list[float]:
        """Return the distance to the bound for each seed, positive if the promise is kept."""
        bound = self.bound
        bounds = [float(bound)] * len(self.values) if isinstance(bound, (int, float)) else bound
        sign = 1 if self.at_least else -1
        return [sign * (value - limit) for value, limit in zip(self.values, bounds, strict=True)]

    @property
    def kept(self) -> int:
        """Number of seeds for which the promise was kept."""
        return sum(margin >= -1e-9 for margin in self.margins())

    @property
    def passed(self) -> bool:
        """True if the promise was kept for every seed."""
        return self.kept == len(self.values)

    def line(self) -> str:
        """Format the check as one line of text."""
        worst = min(range(len(self.values)), key=lambda i: self.margins()[i])
        bound = self.bound if isinstance(self.bound, (int, float)) else self.bound[worst]
        sign = ">=" if self.at_least else "<="
        verdict = "pass" if self.passed else f"FAIL ({self.kept} of {len(self.values)} seeds keep)"
        return (
            f"{self.name:<58} {sign} {number(bound):>7}   median {number(median(self.values)):>7}"
            f"   worst {number(self.values[worst]):>7}   {verdict}"
        )

    def summary(self) -> dict[str, object]:
        """Return the check as data. A bound that depends on the run is a pair of extremes."""
        bound: object = self.bound
        if not isinstance(self.bound, (int, float)):
            bound = [min(self.bound), max(self.bound)]
        return {
            "name": self.name,
            "bound": bound,
            "at_least": self.at_least,
            "median": median(self.values),
            "worst": min(self.values) if self.at_least else max(self.values),
            "kept": self.kept,
            "seeds": len(self.values),
            "passed": self.passed,
        }


def number(value: float) -> str:
    """Format a number for people."""
    if math.isinf(value) or math.isnan(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return (
        f"{value:.4f}"
        if abs(value) < 0.1
        else f"{value:.3f}"
        if abs(value) < 10
        else f"{value:.1f}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format rows under a header, the first column left-aligned, the others right-aligned."""
    cells = [
        [cell if isinstance(cell, str) else number(float(str(cell))) for cell in row]
        for row in rows
    ]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    lines = []
    for row in [list(header), *cells]:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)
