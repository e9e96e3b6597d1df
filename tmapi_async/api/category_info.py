"""Check replies about categories, and read the first level from them. No I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

from .details import Category, CategoryChild
from .replies import Page

ROOT = 0
"""Stands for the category above the first level, which has no ID."""


def problem_with(cat_id: int, page: Page[Category]) -> str | None:
    """Return the reason why a reply cannot be used, or None if it can be used.

    A missing statement is not an empty one: a reply without children is a leaf only if it says so.

    Args:
        cat_id: Requested category, or `ROOT`.
        page: The reply.
    """
    if page.rejects:
        return f"it cannot be decoded: {page.rejects[0].reason}"
    if cat_id == ROOT and (len(page.items) != 1 or page.items[0].id != ROOT):
        return _problem_with_first_level(page.items)
    if len(page.items) != 1:
        return f"{len(page.items)} categories came in place of one"
    replied_id = page.items[0].id
    if replied_id not in (cat_id, ROOT):
        # If another category were accepted, its children would hang in a wrong place.
        return f"the reply is about category {replied_id}"
    return _problem_with_children(page.items[0], required=cat_id == ROOT)


def _problem_with_first_level(items: list[Category]) -> str | None:
    if not items:
        return "it is empty"
    all_have_ids = all(item.id > ROOT for item in items)
    return None if all_have_ids else "a category of the first level has no ID"


def _problem_with_children(category: Category, *, required: bool) -> str | None:
    if not category.children and (category.has_children or required):
        return "it has children, but the reply lists none"
    if category.children is None and category.has_children is None:
        return "the reply does not say if the category has children"
    return None


class _Refusal(msgspec.Struct):
    code: Literal[422]
    message: str = ""


def refusal(message: str) -> bytes:
    """Return the answer to store for a category that the API does not know.

    A walk of the tree takes it for no answer, and requests the category again.

    Args:
        message: Text of the server.
    """
    return msgspec.json.encode(_Refusal(422, message))


def is_refusal(body: bytes) -> bool:
    """Return True if a stored answer says that the API does not know the category."""
    try:
        msgspec.json.decode(body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def first_level(items: list[Category]) -> list[CategoryChild]:
    """Return the categories of the first level, sent as a list or below an object without an ID."""
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
