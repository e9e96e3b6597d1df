"""What the sandbox has seen."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Listing(NamedTuple):
    """A paged query as the server understands it: path and parameters without page and token."""

    path: str
    params: tuple[tuple[str, str], ...]

    @property
    def cat_id(self) -> int | None:
        """The category, if the endpoint has one."""
        for name, value in self.params:
            if name == "cat_id" and value.isascii() and value.isdigit():
                return int(value)
        return None


@dataclass
class Stats:
    """Counts since the start. Read them; only the server writes them.

    Attributes:
        requests: Requests to the API's paths, known or not (not to `/__stats__` and its like).
        billed: Replies with code 200 that were paid for.
        codes: What each reply meant -> how often: a code ("200", "503", also "401" whatever the
            body's code), or the name of a fault without one ("cut", "html").
        in_flight: Requests holding a slot now, those abandoned by their client (ghosts) included.
        peak_in_flight: The largest `in_flight` so far.
        aborted: Requests whose client went away before the reply.
        asked: Listing -> page number -> attempts let in.
        served: Listing -> page number -> billed replies that were the right page and whole as far
            as the server did (not those it truncated or spoilt itself).
    """

    requests: int = 0
    billed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    peak_in_flight: int = 0
    aborted: int = 0
    asked: dict[Listing, dict[int, int]] = field(default_factory=dict)
    served: dict[Listing, dict[int, int]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def enter(self, listing: Listing, page: int) -> int:
        """Take a slot for an attempt; returns how often the page request was let in before."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        pages = self.asked.setdefault(listing, {})
        nth = pages.get(page, 0)
        pages[page] = nth + 1
        return nth

    def bill(self, listing: Listing, page: int, *, whole: bool) -> None:
        """Count a reply with code 200."""
        self.billed += 1
        if whole:
            pages = self.served.setdefault(listing, {})
            pages[page] = pages.get(page, 0) + 1

    @property
    def pages_served(self) -> int:
        """Distinct page requests that were served at least once."""
        return sum(len(pages) for pages in self.served.values())

    @property
    def pages_served_twice(self) -> int:
        """Page requests that were served, and paid for, more than once."""
        return sum(n > 1 for pages in self.served.values() for n in pages.values())

    @property
    def extra_servings(self) -> int:
        """Servings beyond the first of each page request, summed."""
        return sum(n - 1 for pages in self.served.values() for n in pages.values())

    def as_dict(self) -> dict[str, Any]:
        """The counts as `/__stats__` shows them."""
        return {
            "requests": self.requests,
            "billed": self.billed,
            "codes": dict(sorted(self.codes.items())),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "aborted": self.aborted,
            "listings": len(self.asked),
            "pages_served": self.pages_served,
            "pages_served_twice": self.pages_served_twice,
            "extra_servings": self.extra_servings,
            "uptime": round(time.monotonic() - self.started, 3),
        }
