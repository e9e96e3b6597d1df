"""The tree of categories over real sockets: whole, kept, and honest where it fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tmapi_async import (
    TMAPI,
    AuthenticationError,
    BalanceError,
    BudgetSpentError,
    CategoryNode,
    CategoryTree,
    ClosedError,
    InvalidRequestError,
    ListingsFailedError,
    ParameterError,
)
from tmapi_async.errors import JournalInUseError
from tmapi_async.harvest import JournalCategories, JournalReader
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")


def truth(sandbox):
    """Return the nodes that a complete walk must find: ID to (parent, names)."""
    tree = sandbox.catalogue.tree
    nodes = (tree[cat_id] for cat_id in tree)
    return {node.cat_id: (node.parent_id, node.name, node.name_en) for node in nodes}


def found(tree):
    """The same of a tree that was walked."""
    return {node.id: (node.parent, node.name, node.name_en) for node in tree}


@pytest.mark.parametrize("root", ["list", "object"])
@pytest.mark.parametrize("size", [1, 7, 300])
async def test_the_whole_tree_is_found(tmapi_sandboxes, root, size):
    """Every category is found once, in its place; each with children costs one request."""
    sandbox = await tmapi_sandboxes(tree=size, root=root)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        tree = await api.categories()
    assert isinstance(tree, CategoryTree)
    assert len(tree) == size
    assert found(tree) == truth(sandbox)
    assert {node.id for node in tree.leaves()} == set(sandbox.catalogue.tree.leaves)
    inner = size - sum(1 for _ in tree.leaves())
    assert sandbox.stats.requests == inner + 1
    order = [node.id for node in tree]
    for node in tree:
        assert tree.find(node.id) is node
        assert node.parent is None or order.index(node.parent) < order.index(node.id)


async def test_a_large_tree_is_walked_at_the_full_width(tmapi_sandboxes):
    """5,000 categories keep every slot of the gate busy, and no request is refused."""
    sandbox = await tmapi_sandboxes(tree=5000, limit=16, latency=0.005)
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=16) as api:
        tree = await api.categories()
        assert api.statistics().controller.refused == 0
    assert found(tree) == truth(sandbox)
    assert sandbox.stats.peak_in_flight == 16


async def test_categories_come_as_they_become_known(tmapi_sandboxes):
    """Iterating hands out each category once, a parent before those below it."""
    sandbox = await tmapi_sandboxes(tree=60)
    seen: dict[int, CategoryNode] = {}
    async with TMAPI("sandbox", base_url=sandbox.url) as api, api.categories() as walk:
        async for node in walk:
            assert node.parent is None or node.parent in seen
            assert node.id not in seen
            seen[node.id] = node
        assert walk.statistics().requests == sandbox.stats.requests
        with pytest.raises(ClosedError):
            await walk
    assert set(seen) == set(sandbox.catalogue.tree)


async def test_a_part_of_the_tree_is_walked_alone(tmapi_sandboxes):
    """A root and a depth bound what is looked at, and what is paid for."""
    sandbox = await tmapi_sandboxes(tree=300)
    held = sandbox.catalogue.tree
    top = next(cat_id for cat_id in held if held[cat_id].level == 0 and held.children(cat_id))
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        part = await api.categories(top)
        assert part.tops == (top,)
        assert {node.id for node in part} == {cat_id for cat_id in held if top in held.path(cat_id)}
        assert part.find(top).depth == 0
        before = sandbox.stats.requests
        first = await api.categories(depth=1)
        assert sandbox.stats.requests == before + 1
        assert {node.depth for node in first} == {1}
        assert not any(node.is_leaf for node in first if held.children(node.id))
        assert {node.id for node in first.leaves()} == set(held.children())


async def test_what_cannot_be_had_is_named_and_the_rest_is_walked(tmapi_sandboxes):
    """A category that fails for good costs what is below it, and no more; it is named."""
    held = (await tmapi_sandboxes(tree=100)).catalogue.tree
    bad = next(cat_id for cat_id in held if held.children(cat_id))
    sandbox = await tmapi_sandboxes(tree=100, faults=Faults(script={bad: "422"}))
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        walk = api.categories()
        with pytest.raises(ListingsFailedError, match=f"cat_id={bad}") as raised:
            await walk
    tree = walk.tree()
    assert raised.value.count == 1
    assert tree.find(bad).children is None
    assert not tree.find(bad).is_leaf
    below = {one for one in held if one != bad and bad in held.path(one)}
    assert {node.id for node in tree} == set(held) - below


async def test_a_root_that_cannot_be_had_is_an_error_of_its_own(tmapi_sandboxes):
    """If no request was answered, the reason itself is raised."""
    sandbox = await tmapi_sandboxes(tree=10)
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        with pytest.raises(ParameterError, match="cat_id=5"):
            await api.categories(5)


async def test_no_balance_ends_the_walk_and_the_same_again_goes_on(tmapi_sandboxes, tmp_path):
    """Nodes paid for before the balance ran out are kept and not requested again."""
    sandbox = await tmapi_sandboxes(tree=200, quota=10, balance="bare")
    journal = tmp_path / "tree.journal"
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api:
        with JournalCategories(journal) as cache, pytest.raises(BalanceError):
            await api.categories(cache=cache)
        assert sandbox.stats.billed == 10
        sandbox.quota = None
        with JournalCategories(journal) as cache:
            tree = await api.categories(cache=cache)
    assert found(tree) == truth(sandbox)
    inner = 200 - sum(1 for _ in tree.leaves())
    assert sandbox.stats.billed == inner + 1


async def test_a_kept_tree_sends_nothing_until_it_is_asked_anew(tmapi_sandboxes, tmp_path):
    """Kept answers are read; with refresh they are asked for again, and broken off it goes on."""
    sandbox = await tmapi_sandboxes(tree=120)
    journal = tmp_path / "tree.journal"

    async def look(**options):
        async with TMAPI("sandbox", base_url=sandbox.url, **options) as api:
            before = sandbox.stats.requests
            with JournalCategories(journal, refresh="max_requests" in options) as cache:
                try:
                    tree = await api.categories(cache=cache)
                except BudgetSpentError:
                    tree = None
            return tree, sandbox.stats.requests - before

    tree, cost = await look()
    again, nothing = await look()
    assert nothing == 0
    assert found(again) == found(tree) == truth(sandbox)
    assert (await look(max_requests=3)) == (None, 3)
    with JournalReader(journal) as reader:
        assert (reader.tree().answers, reader.tree().broken_off) == (cost, True)
    refreshed, rest = await look(max_requests=1000)
    assert rest == cost - 3
    assert found(refreshed) == found(tree)
    with JournalReader(journal) as reader:
        assert (reader.tree().answers, reader.tree().broken_off) == (cost, False)
        reader.verify()
        assert reader.runs() == []


async def test_a_part_that_is_kept_serves_the_whole(tmapi_sandboxes, tmp_path):
    """A walk of the whole tree does not request again the nodes of an earlier walk of a part."""
    sandbox = await tmapi_sandboxes(tree=120)
    held = sandbox.catalogue.tree
    top = next(cat_id for cat_id in held if held[cat_id].level == 0 and held.children(cat_id))
    async with TMAPI("sandbox", base_url=sandbox.url) as api:
        with JournalCategories(tmp_path / "j") as cache:
            await api.categories(top, cache=cache)
        with JournalCategories(tmp_path / "j") as cache:
            await api.categories(depth=2, cache=cache)
        with JournalCategories(tmp_path / "j") as cache:
            tree = await api.categories(cache=cache)
    assert found(tree) == truth(sandbox)
    inner = 120 - sum(1 for _ in tree.leaves())
    assert sandbox.stats.requests == inner + 1


async def test_a_journal_that_is_written_to_is_left_alone(tmp_path):
    """Two looks at once cannot keep their answers in one journal."""
    with JournalCategories(tmp_path / "j"), pytest.raises(JournalInUseError):
        JournalCategories(tmp_path / "j")
    with JournalCategories(tmp_path / "j"):
        pass


async def test_leaving_the_walk_ends_every_task(tmapi_sandboxes):
    """Left in the middle, nothing more is sent, and the gate is whole again."""
    sandbox = await tmapi_sandboxes(tree=500, latency=0.02, limit=4)
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api:
        async with api.categories() as walk:
            async for _ in walk:
                break
        sent = sandbox.stats.requests
        await asyncio.sleep(0)
        assert sandbox.stats.requests == sent
        assert api.statistics().waiting == 0


async def whole_tree(walk):
    """Await a walk, as a coroutine that a task can be made of."""
    return await walk


async def test_a_cancelled_walk_keeps_what_it_was_answered(tmapi_sandboxes, tmp_path):
    """Cancelled at any moment, what was answered is durable, and the next look goes on."""
    sandbox = await tmapi_sandboxes(tree=150, latency=0.004, limit=4)
    journal = tmp_path / "j"
    async with TMAPI("sandbox", base_url=sandbox.url, concurrency=4) as api:
        for after in range(1, 16, 3):
            with JournalCategories(journal) as cache:
                task = asyncio.ensure_future(whole_tree(api.categories(cache=cache)))
                start = sandbox.stats.pages_served
                # The server tells, not the loop.
                while not task.done() and sandbox.stats.pages_served < start + after:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        with JournalCategories(journal) as cache:
            tree = await api.categories(cache=cache)
    assert found(tree) == truth(sandbox)
    inner = 150 - sum(1 for _ in tree.leaves())
    # At most the four on the wire are paid for again each time.
    assert inner + 1 <= sandbox.stats.requests <= inner + 1 + 5 * 4


async def test_misuse_is_refused(tmapi_sandbox):
    """Bad IDs and depths are refused before anything is sent; a closed client says so."""
    async with TMAPI("sandbox", base_url=tmapi_sandbox.url) as api:
        for options in ({"root": 0}, {"root": "x"}, {"depth": 0}, {"depth": True}):
            with pytest.raises(InvalidRequestError):
                api.categories(**options)
        closed = api.categories()
    assert tmapi_sandbox.stats.requests == 0
    with pytest.raises(ClosedError):
        await closed
    with pytest.raises(ClosedError):
        await TMAPI("sandbox", base_url=tmapi_sandbox.url).categories()


async def test_a_token_that_is_refused_is_in_no_message(tmapi_sandboxes, canary, tmp_path):
    """Neither error, journal nor repr shows the token."""
    sandbox = await tmapi_sandboxes(tree=10)
    async with TMAPI(canary.token, base_url=sandbox.url) as api:
        with JournalCategories(tmp_path / "j") as cache:
            walk = api.categories(cache=cache)
            with pytest.raises(AuthenticationError) as raised:
                await walk
            shown = [str(raised.value), repr(raised.value), repr(walk), repr(cache)]
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert all(map(canary.absent_from, [*shown, files]))
