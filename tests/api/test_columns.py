"""Columns follow from structs: names, kinds, and the text beside a number."""

from __future__ import annotations

import pytest

from tmapi_async.api.columns import Column, columns, layout
from tmapi_async.api.endpoints import ENDPOINTS, Endpoint
from tmapi_async.api.values import Count, Money, Number, Wire


class Block(Wire, frozen=True, kw_only=True):
    """A block in a row."""

    price: Money = None


class Row(Wire, frozen=True, kw_only=True):
    """A row with a block."""

    item_id: int
    pieces: Count = None
    block: Block | None = None
    tags: list[str] | None = None


def test_a_struct_gives_its_columns_in_order() -> None:
    """Names are joined by `_`, and each number has a column for its text."""
    assert columns(Row) == (
        Column("item_id", ("item_id",), "id", 0),
        Column("pieces", ("pieces",), "count", 0, "pieces_text"),
        Column("block_price", ("block", "price"), "money", 1, "block_price_text"),
        Column("tags", ("tags",), "json", 0),
    )
    assert [block.name for block in layout(Row).blocks] == ["", "block"]


def test_a_number_without_a_kind_is_an_error() -> None:
    """A plain number does not say what it counts, so no kind is guessed."""

    class Unclear(Wire, frozen=True, kw_only=True):
        """A row with a number of unknown kind."""

        weight: Number = None

    with pytest.raises(TypeError, match=r"Unclear\.weight has no kind"):
        columns(Unclear)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
def test_columns_of_an_endpoint_have_names_of_their_own(endpoint: Endpoint) -> None:
    """No two columns of a row share a name, texts included."""
    names = [column.name for column in columns(endpoint.item)]
    names += [column.text for column in columns(endpoint.item) if column.text]
    assert len(names) == len(set(names))
