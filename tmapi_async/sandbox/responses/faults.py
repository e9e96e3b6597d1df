"""Faults of attempts, by probability or by script.

The fault of an attempt is a pure function of the seed, the page request and the number of earlier
attempts for this page request, so a run does not depend on timing. A script names faults directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tmapi_async.sandbox.catalogue.hashing import chance

KINDS: Mapping[str, str] = {
    "401": "error reply: token refused (body code 4011)",
    "402": "error reply: payment required",
    "403": "error reply: forbidden",
    "404": "error reply: no route matched",
    "417": "error reply: failed to retrieve data",
    "422": "error reply: parameter error",
    "429": "error reply: too many requests",
    "439": "error reply: insufficient balance, in the configured form",
    "499": "error reply: try again",
    "500": "error reply: unexpected error",
    "503": "error reply: concurrency limit exceeded",
    "bare-balance": 'HTTP 200 with {"message": "Insufficient API balance"} and no code',
    "no-code": "HTTP 200 with JSON that has a message and no code",
    "html": "HTTP 200 with an HTML page",
    "html-502": "HTTP 502 with an HTML page",
    "not-json": "HTTP 200 with text that is not JSON",
    "empty-body": "HTTP 200 with no body",
    "data-null": "code 200 with data null",
    "data-absent": "code 200 with no data",
    "items-object": "code 200 with items that are not a list",
    "no-paging": "code 200 with items and neither has_next_page nor total_count",
    "cut": "connection closed before any byte of the reply",
    "reset": "connection reset (RST) before any byte of the reply",
    "truncated": "connection closed in the middle of the body",
    "hang": "no reply until the client gives up",
    "slow": "the correct reply with a slow body",
    "gzip": "the correct reply, compressed",
    "content-type": "the correct reply with the content type text/html",
    "oversized": "the correct reply, followed by megabytes of white space",
    "oversized-gzip": "the same, compressed to a few kilobytes",
    "bad-gzip": "a body with the header for gzip that is not gzip",
    "redirect": "HTTP 302 to another path of this server",
}
"""Name -> description of the reply."""

CORRECT_REPLIES = frozenset({"slow", "gzip", "content-type"})
"""Faults whose reply is still the requested page; a careful client accepts it."""

NO_FAULT = "ok"
"""Name in a script for an attempt without fault."""


class Attempt(NamedTuple):
    """An attempt, as passed to the script of `Faults`.

    Attributes:
        path: Path of the endpoint.
        params: Parameters of the listing, without page and token, sorted by name.
        cat_id: The category, if the endpoint has one.
        page: 1-based page number.
        nth: Number of earlier admitted attempts for this page request (0 for the first).
            Attempts refused by the concurrency limit do not count.
    """

    path: str
    params: tuple[tuple[str, str], ...]
    cat_id: int | None
    page: int
    nth: int


Steps = str | Sequence[str | None]
Script = Mapping[tuple[int, int] | int, Steps] | Callable[[Attempt], str | None]


@dataclass(frozen=True)
class Faults:
    """Faults and their probabilities.

    Attributes:
        rates: Fault name -> probability for each attempt; their sum is at most 1.
        script: A mapping or a function. The mapping has the key `(cat_id, page)`, or `cat_id` for
            all pages of a category; its value is a list of fault names for one attempt after the
            other (`"ok"` or None for no fault, and no fault after the end of the list), or a single
            name for every attempt. The function receives an
            [`Attempt`][tmapi_async.sandbox.Attempt] and returns a fault name or None. `rates`
            apply to attempts that the script does not cover.

    Raises:
        ValueError: A probability is out of range or a name is empty.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    script: Script = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"fault {name}: the probability must be 0 to 1, not {rate}")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError(
                f"the sum of the fault rates must be at most 1, not {sum(self.rates.values()):.3f}"
            )

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Faults:
        """Parse texts such as `"417=0.05"` from the command line.

        Raises:
            ValueError: A text is not `NAME=PROBABILITY`.
        """
        rates: dict[str, float] = {}
        for text in texts:
            name, _, rate = text.partition("=")
            try:
                rates[name.strip()] = float(rate)
            except ValueError:
                raise ValueError(
                    f"fault {text!r} must be NAME=PROBABILITY, for example 417=0.05"
                ) from None
        return cls(rates)

    def names(self) -> set[str]:
        """Return all fault names that are known in advance (not those of a function)."""
        names = set(self.rates)
        if isinstance(self.script, Mapping):
            for steps in self.script.values():
                names |= {steps} if isinstance(steps, str) else {s for s in steps if s}
        return names - {NO_FAULT}

    def pick(self, seed: int, attempt: Attempt) -> str | None:
        """Return the fault of an attempt, or None."""
        if not self.rates and not self.script:
            return None
        covered, name = self._scripted(attempt)
        if not covered:
            name = self._by_chance(seed, attempt)
        return None if name == NO_FAULT else name

    def _scripted(self, attempt: Attempt) -> tuple[bool, str | None]:
        """Return whether the script covers an attempt, and its fault."""
        if not isinstance(self.script, Mapping):
            name = self.script(attempt)
            return name is not None, name
        if attempt.cat_id is None:
            return False, None
        steps = self.script.get((attempt.cat_id, attempt.page), self.script.get(attempt.cat_id))
        if steps is None or isinstance(steps, str):
            return steps is not None, steps
        return True, steps[attempt.nth] if attempt.nth < len(steps) else None

    def _by_chance(self, seed: int, attempt: Attempt) -> str | None:
        if not self.rates:
            return None
        point = chance(seed, "fault", attempt.path, attempt.params, attempt.page, attempt.nth)
        for name, rate in self.rates.items():
            point -= rate
            if point < 0:
                return name
        return None
