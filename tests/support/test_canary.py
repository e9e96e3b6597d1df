from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.canary import Canary


def test_the_canary_is_found_where_it_leaks(canary: Canary) -> None:
    """The canary tells a text or bytes that hold the token from those that do not."""
    assert canary.absent_from("GET category/items 200")
    assert canary.absent_from(b"SQLite format 3\x00")
    assert not canary.absent_from(f"?apiToken={canary.token}&page=1")
    assert not canary.absent_from(b"..." + canary.token.encode())


def test_the_canary_is_found_in_log_records(canary: Canary) -> None:
    """A token in a log message, in its arguments, in a logged traceback or beside is noticed."""
    trace = (RuntimeError, RuntimeError(canary.token), None)
    make = logging.LogRecord
    clean = make("clean", logging.DEBUG, "", 1, "attempt %s", ("1 of 8",), None)
    args = make("args", logging.DEBUG, "", 1, "GET %s", (canary.token,), None)
    traceback = make("traceback", logging.DEBUG, "", 1, "failed", (), trace)
    extra = make("extra", logging.DEBUG, "", 1, "attempt", (), None)
    extra.tmapi_listing = f"?apiToken={canary.token}"
    leaking = canary.loggers_leaking([clean, args, traceback, extra])
    assert leaking == {"args", "traceback", "extra"}
