"""Single steps of a frontier, for tests that go through it by hand."""

from __future__ import annotations

from tmapi_async.api.listings import Listing, PageRequest, category_items
from tmapi_async.crawl.answers import Answer
from tmapi_async.crawl.frontier import Frontier

WIDTH = 8
A, B = (category_items(number) for number in (1, 2))


def take(frontier: Frontier, width: int = WIDTH) -> list[PageRequest]:
    """Everything that can be asked for now."""
    taken = []
    while (request := frontier.take(width)) is not None:
        taken.append(request)
    return taken


def numbers(requests: list[PageRequest]) -> list[int]:
    """Their page numbers, in the order in which they were taken."""
    return [request.number for request in requests]


def page(
    frontier: Frontier, listing: Listing, number: int, *, more: bool, items: int = 20
) -> Answer:
    """Answer a page in flight."""
    return frontier.answered(PageRequest(listing, number), has_next=more, items=items)


def opened(**options: object) -> Frontier:
    """A frontier without look-ahead, with listing A open."""
    frontier = Frontier(lookahead=0)
    assert frontier.open(A, **options) == Answer()  # type: ignore[arg-type]
    return frontier
