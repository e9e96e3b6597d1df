from __future__ import annotations

import pytest

from tests.support.siblings import RATINGS, seven
from tmapi_async.sandbox.responses.item_replies import ratings_of


@pytest.mark.parametrize("past_end", ["empty", "last"])
async def test_sandbox_ratings_end_without_a_sign(tmapi_sandboxes, ask, past_end):
    """The pages of a product have all its ratings, each once; only rows tell where they end."""
    sandbox = await seven(tmapi_sandboxes, past_end=past_end)
    ids = [sandbox.catalogue.item_id(7, index) for index in range(95)]
    counts = set()
    for item_id in ids[:12]:
        ratings = ratings_of(item_id, "latest")
        dates = [rating["feedback_date"] for rating in ratings]
        assert dates == sorted(dates, reverse=True)
        pages = [
            await ask.data(sandbox, RATINGS, item_id=item_id, sort_type="latest", page=number)
            for number in range(1, 6)
        ]
        assert not any({"has_next_page", "total_count"} & set(page) for page in pages)
        shown = [rating for page in pages for rating in page["list"]]
        last = pages[max(0, -(-len(ratings) // 10) - 1)]["list"]
        assert shown[: len(ratings)] == ratings
        assert pages[4]["list"] == ([] if past_end == "empty" else last)
        counts.add(len(ratings))
    assert len(counts) > 3
    _, _, body = await ask.get(sandbox, RATINGS, item_id=404)
    assert b"no such item" in body
