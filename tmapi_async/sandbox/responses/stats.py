"""Statistics of a sandbox."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Listing(NamedTuple):
    """A paged query as the server reads it: path and parameters without page and token."""

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
    """Counts since the start. Only the server changes them.

    Attributes:
        requests: Requests to paths of the API, known or unknown (not to `/__stats__` and others).
        billed: Replies with code 200 that were paid for.
        codes: Label -> number of replies. A label is a code ("200", "503"; "401" for every form
            of this error), or the name of a fault without a code ("cut", "html").
        in_flight: Requests that hold a slot now, including those abandoned by their client
            (ghosts).
        peak_in_flight: Maximum of `in_flight` so far.
        aborted: Requests whose client disconnected before the reply.
        asked: Listing -> page number -> admitted attempts.
        served: Listing -> page number -> billed replies with the complete correct page (without
            replies that a fault truncated or damaged).
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
        """Take a slot for an attempt; return the number of earlier admitted attempts."""
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
        """Distinct page requests that were served."""
        return sum(len(pages) for pages in self.served.values())

    @property
    def pages_served_twice(self) -> int:
        """Page requests that were served, and paid for, more than once."""
        return sum(n > 1 for pages in self.served.values() for n in pages.values())

    @property
    def extra_servings(self) -> int:
        """Sum over all page requests of the replies after the first."""
        return sum(n - 1 for pages in self.served.values() for n in pages.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the counts in the form of `/__stats__`."""
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
