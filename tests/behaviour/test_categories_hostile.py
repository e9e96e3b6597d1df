"""The tree of categories where the answers are odd, and where they cannot be kept."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tmapi_async import TMAPI, ListingsFailedError, MalformedReplyError
from tmapi_async.errors import DiskFullError
from tmapi_async.harvest import JournalCategories, JournalReader

pytestmark = pytest.mark.usefixtures("tidy")


def below(cat_id, *, has_children=False):
    """A category as its parent lists it."""
    return {"id": str(cat_id), "name": f"n{cat_id}", "has_children": has_children}


@asynccontextmanager
async def answering(data):
    """A client of a server that answers each category (`root`: none) with its own `data`."""
    asked: list[str] = []

    async def answer(request):
        asked.append(request.query.get("cat_id", "root"))
        return web.json_response({"code": 200, "msg": "success", "data": data[asked[-1]]})

    app = web.Application()
    app.router.add_get("/1688/category/info", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with TMAPI("token", base_url=url, concurrency=2) as api:
            yield api, asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "root",
    [{}, [], {"children": None, "has_children": True}, [{"name": "x"}], [below(-4)]],
    ids=["nothing", "empty", "none-sent", "no-id", "below-zero"],
)
async def test_an_answer_that_tells_nothing_is_no_empty_tree(root):
    """A root without categories, or with ones that cannot be named, is a failure."""
    async with answering({"root": root}) as (api, _):
        with pytest.raises(MalformedReplyError):
            await api.categories()


@pytest.mark.parametrize("answer", [{}, {"id": "5", "has_children": True, "children": []}])
async def test_an_answer_that_tells_nothing_makes_no_leaf(answer):
    """A category of which nothing is told fails by name, and is not taken for a leaf."""
    async with answering({"root": [below(5, has_children=None), below(9)], "5": answer}) as (
        api,
        _,
    ):
        walk = api.categories()
        with pytest.raises(ListingsFailedError, match="cat_id=5"):
            await walk
    assert [leaf.id for leaf in walk.tree().leaves()] == [9]


async def test_a_category_asked_for_by_its_id_need_not_repeat_it():
    """The top of a part is what was asked for, also where the answer leaves its ID out."""
    async with answering({"5": {"name": "x", "children": [below(6)]}}) as (api, _):
        tree = await api.categories(5)
    assert [(node.id, node.parent, node.depth) for node in tree] == [(5, None, 0), (6, 5, 1)]


async def test_an_answer_about_another_category_is_not_kept(tmp_path):
    """Three such answers fail the category. The next walk requests only this category again."""
    data = {
        "root": [below(5, has_children=True)],
        "5": {**below(7), "has_children": True, "children": [below(70)]},
    }
    async with answering(data) as (api, asked):
        with JournalCategories(tmp_path / "j") as cache, pytest.raises(ListingsFailedError):
            await api.categories(cache=cache)
        data["5"] = {**below(5), "has_children": True, "children": [below(50)]}
        with JournalCategories(tmp_path / "j") as cache:
            tree = await api.categories(cache=cache)
    assert [node.id for node in tree] == [5, 50]
    assert asked == ["root", "5", "5", "5", "5"]


async def test_a_full_disk_ends_the_walk(tmp_path, monkeypatch):
    """If answers cannot be stored, at most two widths of requests are sent; the error is raised."""
    data = {"root": [below(n, has_children=True) for n in range(1, 41)]}
    data |= {str(n): {**below(n), "children": [below(1000 + n)]} for n in range(1, 41)}

    def full(self, _):
        raise DiskFullError(self.path, "no space")

    monkeypatch.setattr(JournalCategories, "_write", full)
    async with answering(data) as (api, asked):
        with JournalCategories(tmp_path / "j") as cache:
            async with asyncio.timeout(20):
                with pytest.raises(DiskFullError):
                    await api.categories(cache=cache)
    assert len(asked) <= 4


async def test_a_part_asked_anew_does_not_cost_the_whole(tmp_path):
    """A part asked anew replaces its own answers alone, as often as it is asked for."""
    data = {
        "root": [below(5, has_children=True), below(9)],
        "5": {**below(5), "children": [below(6)]},
    }
    async with answering(data) as (api, asked):
        with JournalCategories(tmp_path / "j") as cache:
            await api.categories(cache=cache)
        for _ in range(2):
            with JournalCategories(tmp_path / "j", refresh=True) as cache:
                await api.categories(5, cache=cache)
        with JournalCategories(tmp_path / "j") as cache:
            tree = await api.categories(cache=cache)
    assert asked == ["root", "5", "5", "5"]
    assert [node.id for node in tree] == [5, 6, 9]
    with JournalReader(tmp_path / "j") as reader:
        assert reader.tree().answers == 2
