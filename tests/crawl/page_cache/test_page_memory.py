"""Decoded pages in memory: the latest used ones, within a number of bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.support.sessions import page as page_body
from tmapi_async.api.listings import PageRequest, category_items
from tmapi_async.api.replies import Page, Reply, read_reply
from tmapi_async.crawl.page_cache.page_memory import PageMemory, own_copy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BODY = page_body(1)
COST = 3 * len(BODY) + 1024


def page(cat_id: int) -> Page[Any]:
    """Return a page of a category."""
    request = PageRequest(category_items(cat_id), 1)
    read = read_reply(Reply(200, {}, BODY), request, now=NOW)
    assert isinstance(read, Page)
    return read


def test_page_is_given_unless_it_is_older() -> None:
    """The limit is a time, inclusive; an earlier page does not replace a later one."""
    memory = PageMemory()
    one = page(1)
    assert memory.put(one, 5.0)
    assert not memory.put(one, 5.0)
    assert not memory.put(one, 4.0)
    assert memory.get(one.request, 5.1) is None
    kept = memory.get(one.request, 5.0)
    assert kept is not None
    assert kept.items == one.items
    assert kept.from_cache
    assert memory.put(one, 6.0)
    assert memory.get(one.request, 5.1) is not None
    assert len(memory) == 1


def test_least_recently_used_page_goes_first() -> None:
    """Memory does not grow with the number of pages."""
    memory = PageMemory(3 * COST)
    pages = [page(number) for number in range(1, 5)]
    for one in pages[:3]:
        memory.put(one, 1.0)
    memory.get(pages[0].request, 0.0)
    memory.put(pages[3], 1.0)
    assert [memory.get(one.request, 0.0) is not None for one in pages] == [True, False, True, True]
    memory.clear()
    assert len(memory) == 0


def test_page_larger_than_the_memory_is_not_kept() -> None:
    """It would push out all others."""
    memory = PageMemory(COST - 1)
    assert memory.put(page(1), 1.0)
    assert len(memory) == 0


def test_copies_share_items_and_no_list() -> None:
    """A receiver may change its lists, and has its own age."""
    one = page(1)
    first, second = own_copy(one, 1.0), own_copy(one, 2.0)
    first.items.clear()
    assert second.items == one.items
    assert (first.age, second.age, one.age) == (1.0, 2.0, 0.0)
