"""The tree of categories, as an object."""

from __future__ import annotations

from tmapi_async import CategoryNode, CategoryTree


def node(
    number: int,
    parent: int | None,
    depth: int,
    children: tuple[int, ...] | None = None,
    *,
    has_children: bool | None = None,
) -> CategoryNode:
    """Make a node without names."""
    return CategoryNode(number, parent, depth, None, None, has_children, children)


def tree(*nodes: CategoryNode, cut: int | None = None) -> CategoryTree:
    """Make a tree; the nodes without a parent are its tops."""
    tops = tuple(one.id for one in nodes if one.parent is None)
    return CategoryTree(tops, {one.id: one for one in nodes}, cut=cut)


def test_each_node_comes_before_its_children_in_the_order_of_the_api():
    """A program can build the tree again while it reads the nodes."""
    known = tree(
        node(1, None, 1, (3, 4)),
        node(2, None, 1, ()),
        node(4, 1, 2, (5,)),
        node(3, 1, 2, ()),
        node(5, 4, 3, ()),
    )
    assert [one.id for one in known] == [1, 3, 4, 5, 2]
    assert (len(known), 5 in known, 6 in known) == (5, True, False)


def test_a_child_shown_below_two_parents_comes_once():
    """It stays in its first place: below the parent that its node names."""
    known = tree(node(1, None, 1, (3,)), node(2, None, 1, (3,)), node(3, 1, 2, ()))
    assert [one.id for one in known] == [1, 3, 2]


def test_a_leaf_is_a_node_that_is_known_to_have_no_children():
    """An empty answer and the API's own word make a leaf; ignorance does not."""
    assert node(1, None, 1, ()).is_leaf
    assert node(1, None, 1, has_children=False).is_leaf
    assert not node(1, None, 1).is_leaf
    assert not node(1, None, 1, has_children=True).is_leaf


def test_nodes_at_the_cut_of_a_tree_are_its_leaves_too():
    """Their children were not requested, so that there is nothing below them to walk."""
    nodes = (node(1, None, 1, (2,)), node(2, 1, 2, has_children=True))
    assert [leaf.id for leaf in tree(*nodes).leaves()] == []
    assert [leaf.id for leaf in tree(*nodes, cut=2).leaves()] == [2]
    assert tree(*nodes).find(2) == nodes[1]
    assert tree(*nodes).find(9) is None
