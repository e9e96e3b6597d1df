from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.siblings import INFO
from tmapi_async.sandbox import Catalogue, Tree


async def walked(ask, sandbox):
    """Return every node of the tree, read one level at a time from the root."""
    nodes, ahead = {}, []
    root = await ask.data(sandbox, INFO)
    children = root if isinstance(root, list) else root["children"]
    while True:
        for child in children:
            nodes[child["id"]] = child
            if child["has_children"]:
                ahead.append(child["id"])
        if not ahead:
            return nodes
        data = await ask.data(sandbox, INFO, cat_id=ahead.pop())
        assert data["has_children"]
        children = data["children"]


@pytest.mark.parametrize("root", ["list", "object"])
async def test_sandbox_tree_walk_finds_every_category(tmapi_sandboxes, ask, root):
    """From either shape of root, one level a call leads to every category once."""
    sandbox = await tmapi_sandboxes(tree=300, root=root)
    tree = sandbox.catalogue.tree
    nodes = await walked(ask, sandbox)
    assert sorted(map(int, nodes)) == sorted(tree)
    assert len(nodes) == len(tree) == 300
    inner = sum(node["has_children"] for node in nodes.values())
    assert inner == 300 - len(tree.leaves)
    assert sandbox.stats.billed == 1 + inner


async def test_sandbox_category_tells_its_place(tmapi_sandboxes, ask):
    """A category has its path, level and parent; levels count from 0, as in the sample."""
    sandbox = await tmapi_sandboxes(tree=300)
    tree = sandbox.catalogue.tree
    for cat_id in [leaf for leaf in tree.leaves if tree[leaf].level == tree.depth - 1][:5]:
        data = await ask.data(sandbox, INFO, cat_id=cat_id)
        path = [int(step["id"]) for step in data["path"]]
        assert path == list(tree.path(cat_id))
        assert (path[-1], data["level"], len(path)) == (cat_id, 3, 4)
        assert int(data["parent_id"]) == path[-2]
        assert (data["children"], data["has_children"]) == ([], False)
        assert data["name_en"].isascii()
        assert not data["name"].isascii()
    first = await ask.data(sandbox, INFO, cat_id=tree.children()[0])
    assert (first["level"], first["parent_id"]) == (0, "0")


async def test_sandbox_leaves_can_be_listed(tmapi_sandboxes, ask):
    """By default the leaves are the catalogue's categories, and rows say the path to them."""
    sandbox = await tmapi_sandboxes(categories=40)
    catalogue = sandbox.catalogue
    assert sorted(catalogue.tree.leaves) == sorted(catalogue)
    cat_id = max(catalogue, key=catalogue.size)
    row = (await ask.data(sandbox, "/1688/category/items/v2", cat_id=cat_id))["items"][0]
    assert row["category_path"] == [str(step) for step in catalogue.tree.path(cat_id)]


async def test_sandbox_root_that_has_no_documented_shape_is_a_choice(tmapi_sandboxes, ask):
    """The root is a list, or an object with the same list as `children`."""
    listed = await tmapi_sandboxes(tree=60)
    wrapped = await tmapi_sandboxes(tree=60, root="object")
    children, root = await ask.data(listed, INFO), await ask.data(wrapped, INFO)
    assert isinstance(children, list)
    assert root["children"] == children
    sample = {"id", "name", "name_en", "level", "children", "parent_id", "has_children", "path"}
    assert set(root) == sample
    wrapped.change(root="list")
    assert await ask.data(wrapped, INFO) == children


@given(st.integers(0, 2**63), st.integers(1, 60), st.none() | st.integers(1, 400))
@settings(max_examples=60)
def test_sandbox_tree_is_a_tree_of_the_size_asked_for(seed, count, size):
    """A tree of any size is connected and has each category once, below its parent."""
    leaves = list(range(1, count + 1))
    tree = Tree(seed, leaves, size)
    assert len(tree) == (size or count + count // 6)
    below = [child for cat_id in (None, *tree) for child in tree.children(cat_id)]
    assert sorted(below) == sorted(tree)
    assert all(tree[cat_id].level == len(tree.path(cat_id)) - 1 for cat_id in tree)
    assert 1 <= tree.depth <= 4
    shared = set(leaves) & set(tree)
    assert shared <= set(tree.leaves)
    assert len(shared) == min(count, len(tree.leaves))
    assert list(tree) == list(Tree(seed, leaves, size))


def test_sandbox_large_tree_has_every_depth():
    """A tree of 5,000 has leaves on each of its levels, and most of them deep."""
    tree = Catalogue(1, tree=5000).tree
    depths = [tree[leaf].level for leaf in tree.leaves]
    assert repr(tree) == f"<Tree categories=5000 leaves={len(depths)} depth=4>"
    assert set(depths) == {0, 1, 2, 3}
    assert depths.count(0) < 0.05 * len(depths)


@pytest.mark.parametrize("make", [lambda: Tree(1, [5], 0), lambda: Catalogue(1, tree=0)])
def test_sandbox_tree_is_not_empty(make):
    """A tree of no categories is refused."""
    with pytest.raises(ValueError, match=r"(tree|size) must be at least 1"):
        make()


async def test_sandbox_category_in_no_tree_is_unknown(tmapi_sandboxes, ask):
    """Categories that are not in a smaller tree get 422 and have no path."""
    sandbox = await tmapi_sandboxes(categories={5: 3, 6: 3, 7: 3}, tree=2)
    tree = sandbox.catalogue.tree
    assert set(tree) == {5, 6}
    assert (7 in tree, tree.path(7)) == (False, (7,))
    status, _, body = await ask.get(sandbox, INFO, cat_id=7)
    assert (status, json.loads(body)["code"]) == (422, 422)
