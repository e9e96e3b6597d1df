"""Texts of the expected cost and of the result, as the command line and the journal show them."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.shop import ROOT
from tmapi_async.crawl.splitting import Expectation, Piece, Reconciliation

PIECE = Piece(parts=(ROOT,), total=200, found=200, verdict="proven")
WHOLE = Reconciliation(
    root=ROOT,
    divided=False,
    parts=1,
    requests=10,
    rows=200,
    rejects=0,
    promised=200,
    distinct=200,
    pieces=(PIECE,),
)
DIVIDED = msgspec.structs.replace(WHOLE, divided=True, parts=3, pieces=(PIECE, PIECE))


def piece(**changes: object) -> Piece:
    """Return the piece with some attributes replaced."""
    return msgspec.structs.replace(PIECE, **changes)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (PIECE, "complete, 200 items"),
        (piece(found=150, verdict="uncertain"), "uncertain, 150 of 200 found"),
        (piece(found=150, verdict="uncertain", estimated=True), "150 of about 200 found"),
        (piece(total=None, verdict="open"), "open, 200 of an unknown number found"),
        (piece(found=0, verdict="failed", error="code 417"), "failed (code 417), 0 of 200 found"),
        (piece(found=240, verdict="short"), "240 found. The two orders of prices do not overlap"),
        (piece(found=240, verdict="short"), "this price has 240 rows or more"),
    ],
)
def test_a_piece_names_its_listing_verdict_and_numbers(shown: Piece, text: str) -> None:
    """The text of a piece has the listing, the verdict, and found and total rows."""
    assert str(shown).startswith("category/items/v2?cat_id=1031910: ")
    assert text in str(shown)


def test_a_complete_result_is_one_line_unless_price_filters_were_used() -> None:
    """A divided listing always has a note about items without a price."""
    assert str(WHOLE) == (
        f"{ROOT}: complete, 200 distinct items in one piece of 200 rows (10 pages)"
    )
    headline, note = str(DIVIDED).splitlines()
    assert "complete, 200 distinct items in 2 parts that promise 200 rows" in headline
    assert note.endswith("no total counts them; none was seen")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"requests": 1}, "(1 page)"),
        ({"pieces": (PIECE,)}, "in 1 part that promises 200 rows"),
        ({"strays": 1}, "  1 item was seen, but not in a part that was walked to its end"),
        ({"strays": 2}, "  2 items were seen, but not in a part"),
        ({"unpriced": 1}, "; 1 was seen"),
        ({"unpriced": 2}, "; 2 were seen"),
        ({"finer": True}, "prices are finer than the step between bands"),
        ({"unanswered": (ROOT,)}, f"  {ROOT}: its first page could not be fetched"),
    ],
)
def test_each_doubt_has_a_line_of_its_own(changes: dict[str, object], text: str) -> None:
    """Whatever speaks against a complete result is named; singular and plural agree."""
    assert text in str(msgspec.structs.replace(DIVIDED, **changes))


@pytest.mark.parametrize("changes", [{"strays": 1}, {"finer": True}, {"unanswered": (ROOT,)}])
def test_a_doubt_is_not_called_complete(changes: dict[str, object]) -> None:
    """A result with strays, finer prices or unanswered parts is not proven complete."""
    reconciliation = msgspec.structs.replace(DIVIDED, **changes)
    assert not reconciliation.complete
    assert "not proven complete" in str(reconciliation)


def test_inner_pieces_are_not_counted_as_missing() -> None:
    """The items of an inner piece are found in the outer piece, too."""
    inner = piece(found=100, verdict="uncertain", inner=True)
    outer = piece(found=150, verdict="uncertain")
    reconciliation = msgspec.structs.replace(DIVIDED, pieces=(outer, inner))
    assert reconciliation.missing == 50
    assert "100 of 200" not in str(reconciliation)


def test_an_expectation_says_how_sure_it_is() -> None:
    """A settled number is exact; before that it is a minimum, with an estimate if there is one."""
    open_end = Expectation(least=1200, likely=1500, settled=False, reason="1 part holds more")
    assert str(open_end) == (
        "at least 1,200 requests to go, probably about 1,500: 1 part holds more"
    )
    unknown = msgspec.structs.replace(open_end, likely=None)
    assert str(unknown) == "at least 1,200 requests to go: 1 part holds more"
    settled = Expectation(least=1, likely=1, settled=True, reason="every part fits")
    assert str(settled) == "1 request to go: every part fits"
