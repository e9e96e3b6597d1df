"""What an answer about a category says, and what is wrong with it. No I/O."""

from __future__ import annotations

from .details import Category, CategoryChild
from .replies import Page

ROOT = 0
"""Stands for the category above the first level, which has no ID."""


def wrong_with(cat_id: int, page: Page[Category]) -> str | None:
    """Say why an answer cannot be used, or None if it can.

    Nothing said is not the same as nothing there: what tells of no children and does not say that
    there are none is no leaf.

    Args:
        cat_id: The category asked about, or `ROOT`.
        page: The answer.
    """
    if page.rejects:
        return f"it cannot be decoded: {page.rejects[0].reason}"
    if cat_id == ROOT and (len(page.items) != 1 or page.items[0].id != ROOT):
        return _wrong_level(page.items)
    if len(page.items) != 1:
        return f"{len(page.items)} categories came in place of one"
    found = page.items[0].id
    if found not in (cat_id, ROOT):
        # Taken for the other one, what is below it would hang in a wrong place.
        return f"the answer is about category {found}"
    return _wrong_children(page.items[0], must=cat_id == ROOT)


def _wrong_level(items: list[Category]) -> str | None:
    if not items:
        return "it is empty"
    named = all(item.id > ROOT for item in items)
    return None if named else "a category of the first level has no ID"


def _wrong_children(answer: Category, *, must: bool) -> str | None:
    if not answer.children and (answer.has_children or must):
        return "it has children, and none were sent"
    if answer.children is None and answer.has_children is None:
        return "nothing tells whether there is something below it"
    return None


def first_level(items: list[Category]) -> list[CategoryChild]:
    """The categories of the first level, sent as a list or below an object without an ID."""
    if len(items) == 1 and items[0].id == ROOT:
        return items[0].children or []
    return [
        CategoryChild(
            id=item.id,
            name=item.name,
            name_en=item.name_en,
            level=item.level,
            has_children=item.has_children,
        )
        for item in items
    ]
