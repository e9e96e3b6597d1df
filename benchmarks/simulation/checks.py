"""A promise, and what was measured of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Check:
    """One promise over many seeds.

    Attributes:
        name: What is promised, of what.
        values: What was measured, one for each seed.
        bound: The promise; one for each seed where it depends on the run.
        at_least: Whether the values may not be below the bound; else not above.
    """

    name: str
    values: Sequence[float]
    bound: float | Sequence[float]
    at_least: bool = False

    def margins(self) -> list[float]:
        """For each seed, how far the value is on the good side of the bound."""
        bound = self.bound
        bounds = [float(bound)] * len(self.values) if isinstance(bound, (int, float)) else bound
        sign = 1 if self.at_least else -1
        return [sign * (value - limit) for value, limit in zip(self.values, bounds, strict=True)]

    @property
    def kept(self) -> int:
        """Seeds for which the promise was kept."""
        return sum(margin >= -1e-9 for margin in self.margins())

    @property
    def passed(self) -> bool:
        """Whether it was kept for every seed."""
        return self.kept == len(self.values)

    def line(self) -> str:
        """The check as one line of text."""
        worst = min(range(len(self.values)), key=lambda i: self.margins()[i])
        bound = self.bound if isinstance(self.bound, (int, float)) else self.bound[worst]
        sign = ">=" if self.at_least else "<="
        verdict = "pass" if self.passed else f"FAIL ({self.kept} of {len(self.values)} seeds keep)"
        return (
            f"{self.name:<58} {sign} {number(bound):>7}   median {number(median(self.values)):>7}"
            f"   worst {number(self.values[worst]):>7}   {verdict}"
        )

    def summary(self) -> dict[str, object]:
        """The check as data; a bound that depends on the run as its least and its most."""
        single = isinstance(self.bound, (int, float))
        return {
            "name": self.name,
            "bound": self.bound if single else [min(self.bound), max(self.bound)],
            "at_least": self.at_least,
            "median": median(self.values),
            "worst": min(self.values) if self.at_least else max(self.values),
            "kept": self.kept,
            "seeds": len(self.values),
            "passed": self.passed,
        }


def number(value: float) -> str:
    """A number as a person wants to read it."""
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
    """Rows under a header, the first column to the left, the others to the right."""
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
