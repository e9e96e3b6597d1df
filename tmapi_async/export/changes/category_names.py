"""Names of categories, from the answers about categories that a journal holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from tmapi_async.api.category_info import ROOT, first_level, is_refusal
from tmapi_async.api.decoding import decoder
from tmapi_async.api.details import Category, CategoryChild
from tmapi_async.api.endpoints import CATEGORY_INFO
from tmapi_async.journal.reader import JournalReader


def find_names(
    reader: JournalReader, cat_ids: Collection[int]
) -> tuple[dict[int, str], frozenset[int]]:
    """Return the names of these categories as far as the journal holds them, and unknown ones.

    The API was asked about an unknown category, and answered that it does not know it. A
    name is the Chinese one and the English one ("女装 / Women's clothing"), or one of them.

    Raises:
        JournalError: An answer about a category cannot be read.
    """
    names: dict[int, str] = {}
    unknown: set[int] = set()
    for cat_id, body in reader.category_answers() if cat_ids else ():
        if is_refusal(body):
            unknown.add(cat_id)
            continue
        found = _names_in(cat_id, body)
        names |= {number: name for number, name in found if number in cat_ids}
    return names, frozenset(unknown.intersection(cat_ids) - names.keys())


def _names_in(cat_id: int, body: bytes) -> Iterator[tuple[int, str]]:
    try:
        reply, _ = decoder(CATEGORY_INFO.name).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the answer of another version: a number stands for the name
    categories: list[Category] = reply.data.items
    for child in first_level(categories) if cat_id == ROOT else ():
        yield from _name_of(child.id, child)
    for category in categories:
        yield from _name_of(category.id or cat_id, category)
        for child in category.children or ():
            yield from _name_of(child.id, child)


def _name_of(cat_id: int, category: Category | CategoryChild) -> Iterator[tuple[int, str]]:
    texts = (category.name, category.name_en)
    name = " / ".join(dict.fromkeys(text.strip() for text in texts if text and text.strip()))
    if name:
        yield cat_id, name
