"""Which endpoint's rows an export is of: each has a schema of its own, so it is of one alone."""

from __future__ import annotations

from collections.abc import Collection

from tmapi_async.api.endpoints import CATEGORY_ITEMS, ENDPOINTS, Endpoint
from tmapi_async.api.items import Product
from tmapi_async.errors import ExportRefusedError

EXPORTED = {one.name: one for one in ENDPOINTS.values() if issubclass(one.item, Product)}
"""Endpoints whose rows are products; what else a journal keeps (the category tree) is no row."""

_BY_ANY_NAME = {name: one for one in EXPORTED.values() for name in (one.name, one.short)}


def named(text: str) -> Endpoint:
    """The endpoint of a short or a full name.

    Raises:
        ExportRefusedError: There is none whose rows can be exported.
    """
    found = _BY_ANY_NAME.get(text)
    if found is None:
        known = ", ".join(one.short for one in EXPORTED.values())
        raise ExportRefusedError(f"there is no endpoint {text!r} with rows: give one of {known}")
    return found


def choose(held: Collection[str], wanted: str | None, where: str) -> Endpoint:
    """The endpoint whose rows are meant.

    Args:
        held: Names of the endpoints of the listings selected.
        wanted: The short or full name asked for, or None.
        where: What holds them, for the message (`"run 1 of the journal"`).

    Returns:
        That asked for; else the one paged endpoint among them, or the one at all; that of
        `category/items` where there is no listing.

    Raises:
        ExportRefusedError: There are several, none, or one that this version does not know.
    """
    if wanted is not None:
        found = named(wanted)
        if found.name not in held:
            raise ExportRefusedError(f"there is nothing of {found.name} in {where}")
        return found
    if not held:
        return CATEGORY_ITEMS
    unknown = sorted(set(held) - ENDPOINTS.keys())
    if unknown:
        raise ExportRefusedError(
            f"{where} holds listings of {', '.join(unknown)}, which this version of tmapi-async "
            "does not know: upgrade it, or choose another endpoint (--endpoint)"
        )
    found_here = [one for name, one in EXPORTED.items() if name in held]
    candidates = [one for one in found_here if one.paged] or found_here
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ExportRefusedError(f"{where} holds no products, only {', '.join(sorted(held))}")
    choices = ", ".join(f"{one.short} ({one.name})" for one in candidates)
    raise ExportRefusedError(
        f"{where} holds rows of several endpoints, and each has a schema of its own: choose one "
        f"with --endpoint: {choices}"
    )
