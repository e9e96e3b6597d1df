"""The types that applications are promised: read by mypy, never run.

A line here that stops type-checking is a change for users, and belongs in CHANGELOG.md.
"""

from __future__ import annotations

from typing import assert_type

from tmapi_async.listings import Listing, PageRequest, category_items


def listings() -> None:
    """A listing and its page requests, described as data."""
    listing = category_items(1031910, free_shipping=True)
    assert_type(listing, Listing)
    assert_type(listing.identity, str)
    assert_type(listing.cat_id, int | None)
    assert_type(PageRequest(listing, 1).number, int)
