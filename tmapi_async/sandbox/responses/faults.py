"""Faults: what can go wrong with an attempt, by probability or by script.

Which fault an attempt meets is a pure function of the seed, the page request and how often that
page request was asked before, so a run does not depend on timing. A script says it outright.
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
    "slow": "the right reply, its body trickled",
    "gzip": "the right reply, compressed",
    "content-type": "the right reply, called text/html",
    "oversized": "the right reply, followed by megabytes of white space",
    "oversized-gzip": "the same, compressed to little on the wire",
    "bad-gzip": "a body that claims to be gzip and is not",
    "redirect": "HTTP 302 to another path of this server",
}
"""Name -> what the client sees."""

RIGHT_REPLIES = frozenset({"slow", "gzip", "content-type"})
"""Faults whose reply is still the page: a careful client takes it."""

NO_FAULT = "ok"
"""In a script: this attempt meets no fault."""


class Attempt(NamedTuple):
    """What a scripted fault is asked about.

    Attributes:
        path: Path of the endpoint.
        params: The listing's parameters, without page and token, sorted by name.
        cat_id: The category, if the endpoint has one.
        page: 1-based page number.
        nth: How often this page request was let in before (0 for the first attempt). Attempts
            turned away by the concurrency limit do not count.
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
    """What goes wrong, and how often.

    Attributes:
        rates: Fault name -> probability for each attempt; together at most 1.
        script: Either a mapping of `(cat_id, page)`, or of `cat_id` for all its pages, to the
            faults its attempts meet one after the other (`"ok"` or None for none; after the last
            one there are none; a single name is met by every attempt), or a function from
            [`Attempt`][tmapi_async.sandbox.Attempt] to a fault name or None. What the script
            does not speak of is left to `rates`.

    Raises:
        ValueError: A probability is out of range or a name is empty.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    script: Script = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"fault {name}: {rate} is not a probability")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError(f"fault rates add up to {sum(self.rates.values()):.3f}, more than 1")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Faults:
        """Faults from texts such as `"417=0.05"`, as the command line takes them.

        Raises:
            ValueError: A text is not `NAME=PROBABILITY`.
        """
        rates: dict[str, float] = {}
        for text in texts:
            name, _, rate = text.partition("=")
            try:
                rates[name.strip()] = float(rate)
            except ValueError:
                raise ValueError(f"fault {text!r} is not NAME=PROBABILITY (417=0.05)") from None
        return cls(rates)

    def names(self) -> set[str]:
        """Every name this object can answer with, as far as it is known beforehand."""
        found = set(self.rates)
        if isinstance(self.script, Mapping):
            for steps in self.script.values():
                found |= {steps} if isinstance(steps, str) else {s for s in steps if s}
        return found - {NO_FAULT}

    def pick(self, seed: int, attempt: Attempt) -> str | None:
        """The fault that an attempt meets, or None."""
        if not self.rates and not self.script:
            return None
        spoken, name = self._scripted(attempt)
        if not spoken:
            name = self._by_chance(seed, attempt)
        return None if name == NO_FAULT else name

    def _scripted(self, attempt: Attempt) -> tuple[bool, str | None]:
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
