"""Choice of the endpoint to export: each endpoint has its own row schema, so one per export."""

from __future__ import annotations

from collections.abc import Collection

from tmapi_async.api.endpoints import BY_SHORT_NAME, CATEGORY_ITEMS, ENDPOINTS, Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.shown_value import show_value

from .detail_tables.elements import DETAIL_TABLES, DetailTable

EXPORTED = {endpoint.name: endpoint for endpoint in BY_SHORT_NAME.values()}
"""Endpoints with rows about products. Other pages of a journal (the category tree) have none."""

ALL = "all"
"""Stands for every endpoint of a journal, and for the elements of its details."""

DEFAULT_TABLE = "items"
"""Table of products in a database."""

_PRODUCT_KEY = ("listing", "item_id")

_BY_ANY_NAME = {
    **{
        name: endpoint for endpoint in EXPORTED.values() for name in (endpoint.name, endpoint.short)
    },
    **DETAIL_TABLES,
}


def endpoint_named(text: str) -> Endpoint:
    """Return the endpoint with this short or full name.

    Raises:
        ExportRefusedError: No endpoint with rows has this name.
    """
    endpoint = _BY_ANY_NAME.get(text)
    if endpoint is None:
        known = ", ".join(
            endpoint.short for endpoint in (*EXPORTED.values(), *DETAIL_TABLES.values())
        )
        raise ExportRefusedError(
            f"no endpoint with rows is named {show_value(text)}: use one of {known}"
        )
    return endpoint


def table_name(endpoint: Endpoint, chosen: Collection[Endpoint] = ()) -> str:
    """Return the name of the table of an endpoint in a database, if the user names none.

    Args:
        endpoint: The endpoint.
        chosen: All endpoints that are exported together.

    Returns:
        `items` for listings of products, but a longer name if there are several such endpoints; for
        anything else the name of the endpoint (`item_skus`).
    """
    name = endpoint.short.replace("-", "_")
    if not endpoint.lists_products:
        return name
    several = sum(one.lists_products for one in chosen) > 1
    return f"{DEFAULT_TABLE}_{name}" if several else DEFAULT_TABLE


def row_key(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the columns that tell a row of a database table from all others.

    A detail has many elements, and no ID of an element can be relied on. A product has many
    ratings, each with an ID.
    """
    if isinstance(endpoint, DetailTable):
        return (*_PRODUCT_KEY, "position")
    own = endpoint.item.row_key
    return _PRODUCT_KEY if own in _PRODUCT_KEY else (*_PRODUCT_KEY, own)


def refuse_detail_tables(endpoint: Endpoint, purpose: str) -> None:
    """Refuse the elements of details where rows with an ID of their own are needed.

    Args:
        endpoint: The endpoint that was asked for.
        purpose: The option or command that needs such rows, for the message.

    Raises:
        ExportRefusedError: The endpoint is a table of elements.
    """
    if isinstance(endpoint, DetailTable):
        raise _several_rows(endpoint, purpose)


def require_products(endpoint: Endpoint, purpose: str) -> None:
    """Refuse elements of details, and ratings, where rows of products are needed.

    Args:
        endpoint: The endpoint that was asked for.
        purpose: The option or command that needs products, for the message.

    Raises:
        ExportRefusedError: The endpoint has several rows for a product.
    """
    if row_key(endpoint) != _PRODUCT_KEY:
        raise _several_rows(endpoint, purpose)


def _several_rows(endpoint: Endpoint, purpose: str) -> ExportRefusedError:
    return ExportRefusedError(
        f"{purpose} needs one row for each product, and {endpoint.short} has several"
    )


def choose_endpoint(available: Collection[str], requested: str | None, source: str) -> Endpoint:
    """Choose the endpoint whose rows are exported.

    Args:
        available: Names of the endpoints of the selected listings.
        requested: Short or full name of the endpoint that the caller asked for, or None.
        source: Place of the listings, for the message (`"run 1 of the journal"`).

    Returns:
        The requested endpoint. Without a request: the only available one with listings of products,
        or the only endpoint at all, or `category/items` if there is no listing.

    Raises:
        ExportRefusedError: The requested endpoint is not available; or without a request there
            are several endpoints, none with rows, or one that this version does not know.
    """
    if requested is not None:
        endpoint = endpoint_named(requested)
        if endpoint.name not in available:
            raise ExportRefusedError(f"{source} has no listing of {endpoint.name}")
        return endpoint
    if not available:
        return CATEGORY_ITEMS
    _refuse_unknown(available, source)
    with_rows = [endpoint for name, endpoint in EXPORTED.items() if name in available]
    candidates = [endpoint for endpoint in with_rows if endpoint.lists_products] or with_rows
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ExportRefusedError(f"{source} has no products, only {', '.join(sorted(available))}")
    choices = ", ".join(f"{endpoint.short} ({endpoint.name})" for endpoint in candidates)
    raise ExportRefusedError(
        f"{source} has rows of several endpoints, and each endpoint has its own schema: choose "
        f"one with --endpoint: {choices}"
    )


def _refuse_unknown(available: Collection[str], source: str) -> None:
    unknown = sorted(set(available) - ENDPOINTS.keys())
    if unknown:
        raise ExportRefusedError(
            f"{source} has listings of {', '.join(unknown)}, which this version of tmapi-async "
            "does not know: upgrade tmapi-async, or choose another endpoint (--endpoint)"
        )


def choose_endpoints(
    available: Collection[str], requested: Collection[str], source: str
) -> list[Endpoint]:
    """Choose the endpoints of an export that may have several.

    Args:
        available: See `choose_endpoint`.
        requested: Short or full names of endpoints; `all` stands for every one that is available.
        source: See `choose_endpoint`.

    Returns:
        The endpoints in the order of the documentation, each once.

    Raises:
        ExportRefusedError: See `choose_endpoint`.
    """
    if ALL in requested:
        _refuse_unknown(available, source)
    named = {endpoint_named(name).short for name in requested if name != ALL}
    every = [*EXPORTED.values(), *DETAIL_TABLES.values()]
    chosen = [
        endpoint
        for endpoint in every
        if endpoint.short in named or (ALL in requested and endpoint.name in available)
    ]
    for endpoint in chosen:
        choose_endpoint(available, endpoint.short, source)
    return chosen or [choose_endpoint(available, None, source)]


def check_several(requested: Collection[str], *, unique: bool = False) -> None:
    """Check the names of several endpoints before the journal is read.

    Args:
        requested: Names as `choose_endpoints` takes them.
        unique: True if only the latest row of each item is requested.

    Raises:
        ExportRefusedError: No endpoint with rows has such a name, or one has no unique items.
    """
    for name in requested:
        if name != ALL:
            endpoint = endpoint_named(name)
            if unique:
                refuse_detail_tables(endpoint, "unique")
        elif unique:
            raise ExportRefusedError(
                "unique needs one row for each product, and the elements of details have several: "
                "name the endpoints in place of all"
            )
