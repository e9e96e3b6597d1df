"""Tests of code of somebody's own against the sandbox, which fails as the API fails.

    pip install pytest pytest-asyncio .     # in the folder of the project
    cd examples/own_tests && python -m pytest

No token, no network, no cost. For code of your own, copy `conftest.py` and give the sandbox what
your code needs: sizes of categories, a limit, faults, a balance. To try the program on the real
service, set TMAPI_TOKEN and run it: python price_watch.py 1031910
"""

from __future__ import annotations

import pytest
from price_watch import cheapest

from tmapi_async import TMAPI, BalanceError
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.asyncio  # pytest-asyncio takes no test that does not say so

CAT = 1031910
SIZE = 113


def prices(sandbox, number):
    """Return the lowest prices of the category: the sandbox knows the truth."""
    return sorted(sandbox.catalogue.price(CAT, index) for index in range(SIZE))[:number]


async def test_the_cheapest_of_all_pages_are_found(tmapi_sandboxes):
    """Not those of the first page alone."""
    sandbox = await tmapi_sandboxes(categories={CAT: SIZE})
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        found = await cheapest(api, CAT)
    assert [item.sale_price for item in found] == prices(sandbox, 3)


async def test_errors_and_a_narrow_limit_change_nothing(tmapi_sandboxes):
    """Broken connections and errors are retried, within the account's limit."""
    faults = Faults(script={(CAT, 2): ["500", "cut", "ok"], (CAT, 4): ["html", "ok"]})
    sandbox = await tmapi_sandboxes(categories={CAT: SIZE}, limit=2, faults=faults)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        found = await cheapest(api, CAT, 5)
    assert [item.sale_price for item in found] == prices(sandbox, 5)
    assert sandbox.stats.peak_in_flight <= 2


async def test_a_spent_balance_is_an_error_and_not_a_short_list(tmapi_sandboxes):
    """Half a category would have other cheapest items."""
    sandbox = await tmapi_sandboxes(categories={CAT: SIZE}, quota=3, balance="bare")
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        with pytest.raises(BalanceError):
            await cheapest(api, CAT)
