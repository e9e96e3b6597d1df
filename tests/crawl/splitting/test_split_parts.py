"""Parts of a divided listing: their pages and times, against exact ones that are rounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shop import ROOT
from tmapi_async.api.items import Item
from tmapi_async.api.listings import PageRequest
from tmapi_async.api.replies import Page
from tmapi_async.crawl.splitting.queries import Observation
from tmapi_async.crawl.splitting.split_parts import Part

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def observed(number: int, item_id: int, read_at: int, latency: int) -> Observation:
    """Return a page of one item, read so many microseconds after the begin."""
    item = msgspec.convert({"item_id": item_id}, Item)
    return Observation.of(
        Page(
            request=PageRequest(ROOT, number),
            echoed_page=number,
            page_size=1,
            has_next_page=True,
            total_count=4,
            items=[item],
            rejects=[],
            body=b"",
            fetched_at=BEGIN + timedelta(microseconds=read_at),
            attempts=1,
            latency=latency / 1e6,
            age=0.0,
        )
    )


def walked(*pages: Observation) -> Part:
    """Return a part with these pages."""
    part = Part(ROOT)
    for page in pages:
        part.add_page(page)
    return part


times = st.integers(10**6, 10**6 + 5_000)
latencies = st.integers(0, 30_000)


@given(read_at=times, gap=st.integers(0, 3_000), latency=latencies, other=latencies)
def test_a_last_page_asked_for_after_a_page_was_read_covers_it(
    read_at: int, gap: int, latency: int, other: int
) -> None:
    """A page that had been read is not late, however soon the last page was asked for after it."""
    last = walked(observed(1, 1, 1_000, 10), observed(2, 2, read_at + gap + latency, latency))
    assert last.covers_rest_of(walked(observed(1, 3, read_at, other)))


@given(asked_at=times, latency=latencies, gap=st.integers(3_500, 9_000))
def test_a_page_read_after_the_last_page_was_asked_for_is_late(
    asked_at: int, latency: int, gap: int
) -> None:
    """A page read later, by more than rounding hides, must show nothing new."""
    last = walked(observed(1, 1, 1_000, 10), observed(2, 2, asked_at + latency, latency))
    assert not last.covers_rest_of(walked(observed(1, 3, asked_at + gap, 10)))
    assert last.covers_rest_of(walked(observed(1, 2, asked_at + gap, 10)))
