"""Several accounts in one process: each has its gate, and an account that stops, stops alone."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.support.harvesting import client, listings, until
from tmapi_async import InvalidRequestError
from tmapi_async.errors import AuthenticationError, BudgetSpentError
from tmapi_async.harvest import Harvest, JournalReader
from tmapi_async.limits.budget import Budget
from tmapi_async.sandbox.server.backend import Backend

TOKENS = ("one", "two", "three")
SIZES = {cat_id: (cat_id * 37) % 170 for cat_id in range(1, 41)}


async def harvest(sandbox, path, tokens, *, most=None, **options):
    """Run a harvest with these accounts to its end."""
    budget = None if most is None else Budget(most)
    clients = [client(sandbox, token=token, max_requests=budget, **options) for token in tokens]
    for api in clients:
        await api.__aenter__()
    try:
        return await Harvest(clients, listings(*SIZES), journal=path).run()
    finally:
        for api in clients:
            await api.aclose()


def pages(path):
    """What the journal holds: category and number of each page."""
    with JournalReader(path) as reader:
        reader.verify()
        return [(page.listing.cat_id, page.number) for page in reader.pages()]


def all_pages(sandbox):
    """What there is."""
    catalogue = sandbox.catalogue
    return {(cat_id, n) for cat_id in SIZES for n in range(1, catalogue.pages(cat_id) + 1)}


@pytest.fixture
async def sandbox(tmapi_sandboxes):
    """Forty categories, for three accounts."""
    return await tmapi_sandboxes(categories=SIZES, token=TOKENS, latency=0.002)


async def test_all_accounts_share_the_listings(sandbox, path, tidy):
    """Every account sends requests, and no page is requested twice."""
    result = await harvest(sandbox, path, TOKENS, lookahead="off")
    assert result.complete
    assert all_pages(sandbox) <= set(pages(path))
    assert len(pages(path)) == len(set(pages(path))) == result.requests
    assert sandbox.stats.peak_in_flight > 4  # one gate is four wide
    assert tidy == []


async def test_a_refused_account_stops_alone(sandbox, path, caplog):
    """Other accounts walk the listings of a refused one. The harvest is complete, without error."""
    result = await harvest(sandbox, path, ["wrong", "two"])
    assert (result.complete, result.error, result.stopped_by) == (True, None, None)
    assert all_pages(sandbox) <= set(pages(path))
    assert "account 1 of 2 stops" in caplog.text
    assert "wrong" not in caplog.text


async def test_an_account_refused_in_the_middle_leaves_nothing_behind(
    tmapi_sandboxes, path, monkeypatch
):
    """The pages that the account has brought stay, and no other account asks for them again."""
    sandbox = await tmapi_sandboxes(categories=SIZES, token=TOKENS, latency=0.002)
    clients = [client(sandbox, token=token, lookahead="off") for token in TOKENS]
    admit, seen = Backend.admit, itertools.count(1)

    def admit_20_of_the_first(self, method, path, query, key):
        if query.get("apiToken") == TOKENS[0] and next(seen) > 20:
            query["apiToken"] = "revoked"
        return admit(self, method, path, query, key)

    monkeypatch.setattr(Backend, "admit", admit_20_of_the_first)
    for api in clients:
        await api.__aenter__()
    result = await Harvest(clients, listings(*SIZES), journal=path).run()
    for api in clients:
        await api.aclose()
    assert (result.complete, result.error) == (True, None)
    assert result.codes["4011"]
    assert all_pages(sandbox) <= set(pages(path))
    # Only the requests that were refused brought nothing.
    assert result.requests == len(pages(path)) + result.codes["4011"]
    assert result.tally.unique_items == result.tally.items == sandbox.catalogue.total_items


@pytest.mark.parametrize(
    "case",
    [
        (["no", "nor"], None, AuthenticationError, "auth"),
        (TOKENS, 25, BudgetSpentError, "budget"),
    ],
)
async def test_the_harvest_stops_when_all_accounts_have_stopped(sandbox, path, case):
    """The error says why; one budget holds for all accounts. A start with good ones continues."""
    tokens, most, error, stopped_by = case
    result = await harvest(sandbox, path, tokens, most=most)
    assert result.stopped_by == stopped_by
    assert isinstance(result.error, error)
    assert most is None or result.requests == most
    assert result.tally.left
    assert (await harvest(sandbox, path, TOKENS)).complete
    assert all_pages(sandbox) <= set(pages(path))


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_a_harvest_of_several_accounts_stops_and_is_cancelled_like_one(
    sandbox, path, how, tidy
):
    """A stop stores the pages on the wire, a cancellation ends at once. Both can be resumed."""
    clients = [client(sandbox, token=token) for token in TOKENS]
    for api in clients:
        await api.__aenter__()
    work = Harvest(clients, listings(*SIZES), journal=path)
    running = asyncio.create_task(work.run())
    await until(lambda: work.progress().pages > 20)
    if how == "stop":
        work.stop()
        result = await running
        assert result.tally.unique_items == result.tally.items
    else:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        result = work.result()
    assert result.stopped_by == "signal"
    for api in clients:
        await api.aclose()
    assert (await harvest(sandbox, path, TOKENS)).complete
    assert all_pages(sandbox) <= set(pages(path))
    assert tidy == []


def test_accounts_of_different_hosts_are_refused(sandbox, path):
    """All accounts of a harvest must have one host."""
    clients = [client(sandbox), client(sandbox, base_url="http://127.0.0.1:9")]
    with pytest.raises(InvalidRequestError, match="one host"):
        Harvest(clients, [], journal=path)
    with pytest.raises(InvalidRequestError, match="one host"):
        Harvest([], [], journal=path)
