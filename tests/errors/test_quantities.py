"""A number and its noun agree."""

from __future__ import annotations

import pytest

from tmapi_async.errors.quantities import quantity


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 listings"), (1, "1 listing"), (2, "2 listings"), (2000, "2,000 listings")],
)
def test_number_and_noun_agree(number: int, text: str) -> None:
    """One listing, several listings."""
    assert quantity(number, "listing") == text


def test_a_plural_can_be_given() -> None:
    """Some plurals do not end in a plain s."""
    assert quantity(3, "category", "categories") == "3 categories"
    assert quantity(1, "retry", "retries") == "1 retry"
