"""A journal that is being written, as a table that fits its terminal, and as one line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len

from tmapi_async.cli.tables import cut_text, format_table, format_time
from tmapi_async.errors.escaping import escape_controls
from tmapi_async.errors.quantities import quantity
from tmapi_async.journal.live.census import LiveListing
from tmapi_async.journal.live.journal_watch import Glance

from .wording import clock_text, pages_per_minute, time_left_text

_HEADINGS = ("state", ">pages", ">items", ">rejects", "reason")
_LEAST_COLUMNS = 2
_NAME_CELLS = 28
_NO_BREAK = "\u00a0"


def live_lines(glance: Glance, name: str, width: int, height: int) -> list[str]:
    """Return a journal as lines that fit a terminal.

    Args:
        glance: The journal at this moment.
        name: Name of the journal.
        width: Cells of a line.
        height: Lines of the terminal.
    """
    lines = [cut_text(f"{name}: {writer_text(glance)}", width)]
    for parts in (_listing_parts(glance), _page_parts(glance), _request_parts(glance)):
        lines += _wrapped(parts, width)
    lines += _wrapped(_time_parts(glance), width)
    room = height - len(lines) - 4  # an empty line, the headings, the sum, and the cursor's line
    rows = _rows(glance)
    shown = rows[: max(1, room)]
    if shown:
        lines += ["", *_table(shown, width)]
    hidden = _hidden(glance, shown)
    return [*lines, cut_text(f"... and {', '.join(hidden)}", width)] if hidden else lines


def live_line(glance: Glance) -> str:
    """Return a journal on one line, with the time of the look."""
    tally = glance.tally
    parts = [
        f"{tally.listings - tally.left:,}/{quantity(tally.listings, 'listing')}",
        *_page_parts(glance),
        *_request_parts(glance)[:1],
        *([f"{tally.failed:,} failed"] if tally.failed else []),
        *_time_parts(glance),
    ]
    return f"{format_time(glance.at)} {writer_text(glance)}: {', '.join(parts)}"


def writer_text(glance: Glance) -> str:
    """Return which process writes to the journal."""
    if not glance.certain:
        return "nobody can tell if a harvest is alive: its lock file may not be opened"
    if glance.writer is None:
        return "no process is writing"
    return f"process {glance.writer} is writing" if glance.writer else "a process is writing"


def _listing_parts(glance: Glance) -> list[str]:
    tally = glance.tally
    if not glance.run:
        return ["no harvest has begun in this journal yet"]
    ended = f"{tally.listings - tally.left:,} of {quantity(tally.listings, 'listing')} ended"
    return [
        f"run {glance.run}",
        ended,
        *_counted(
            (len(glance.reading), "being read"),
            (len(glance.stopped), "stopped"),
            (tally.failed, "failed"),
            (tally.capped, "capped"),
            (tally.shifted, "shifted"),
            (glance.waiting_number, "waiting"),
        ),
    ]


def _page_parts(glance: Glance) -> list[str]:
    tally = glance.tally
    rejects = [quantity(tally.rejects, "reject")] if tally.rejects else []
    speed = [pages_per_minute(glance.rate)] if glance.start and glance.start.totals else []
    return [quantity(tally.pages, "page"), quantity(tally.items, "item"), *rejects, *speed]


def _request_parts(glance: Glance) -> list[str]:
    if glance.start is None:
        return []
    totals = glance.start.totals
    if totals is None:
        return ["no page in this start yet"]
    earlier = sum(tick.requests for tick in glance.earlier)
    codes = [
        f"{code} x {number:,}" for code, number in sorted(totals.codes.items()) if code != "200"
    ]
    return [
        f"{quantity(totals.requests, 'request')} in this start",
        *([f"{earlier + totals.requests:,} in the run"] if earlier else []),
        quantity(totals.retries, "retry", "retries"),
        f"{totals.wasted:,} wasted",
        f"gate {totals.width:,} wide",
        *codes,
    ]


def _time_parts(glance: Glance) -> list[str]:
    if glance.start is None:
        return []
    parts = [f"{clock_text(max(0.0, glance.at - glance.start.started_at))} since the start"]
    if glance.remaining is not None:
        left = glance.remaining
        return [*parts, time_left_text(left.low, left.mean, left.high)]
    if not glance.rate and glance.start.totals is not None:
        return [*parts, f"last commit {clock_text(glance.idle_seconds)} ago"]
    return [*parts, "the end cannot be estimated yet"]


def _counted(*counts: tuple[int, str]) -> list[str]:
    return [f"{number:,} {name}" for number, name in counts if number]


def _wrapped(parts: Iterable[str], width: int) -> Iterator[str]:
    """Yield parts with commas between them as lines; a part is broken only if it has to be."""
    text = ", ".join(part.replace(" ", _NO_BREAK) for part in parts)
    for line in textwrap.wrap(text, width):
        yield line.replace(_NO_BREAK, " ")


def _rows(glance: Glance) -> list[tuple[LiveListing, str]]:
    """Return the listings with their states, those that matter most first."""
    return [
        *((listing, "open") for listing in glance.reading),
        *((listing, "stopped") for listing in glance.stopped),
        *((listing, "failed") for listing in glance.failed),
        *((listing, "waiting") for listing in glance.waiting),
    ]


def _hidden(glance: Glance, shown: Sequence[tuple[LiveListing, str]]) -> list[str]:
    states = [state for _, state in shown]
    return _counted(
        (len(glance.reading) - states.count("open"), "more being read"),
        (len(glance.stopped) - states.count("stopped"), "more stopped"),
        (glance.tally.failed - states.count("failed"), "more failed"),
        (glance.waiting_number - states.count("waiting"), "more waiting"),
    )


def _table(rows: Sequence[tuple[LiveListing, str]], width: int) -> list[str]:
    """Return listings as a table; columns that do not fit are left out, the last one first."""
    cells = [(state, one.pages, one.items, one.rejects, one.reason) for one, state in rows]
    used = len(_HEADINGS)
    while used > _LEAST_COLUMNS and not any(row[used - 1] for row in cells):
        used -= 1
    names = [escape_controls(one.identity) for one, _ in rows]
    wanted = min(_NAME_CELLS, max(map(cell_len, names)))
    while True:
        others = format_table(_HEADINGS[:used], [row[:used] for row in cells])
        room = width - max(map(cell_len, others)) - 2
        if room >= wanted or used <= _LEAST_COLUMNS:
            break
        used -= 1
    shown = [_short_name(name, max(1, room)) for name in names]
    return format_table(
        ("listing", *_HEADINGS[:used]),
        [(name, *row[:used]) for name, row in zip(shown, cells, strict=True)],
    )


def _short_name(name: str, room: int) -> str:
    """Return the name of a listing; where it does not fit, its endpoint is left out first."""
    if cell_len(name) > room:
        name = name.partition("?")[2] or name
    return cut_text(name, room)
