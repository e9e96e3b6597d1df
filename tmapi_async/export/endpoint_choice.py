"""Choice of the endpoint to export: each endpoint has its own row schema, so one per export."""

from __future__ import annotations

from collections.abc import Collection

from tmapi_async.api.endpoints import BY_SHORT_NAME, CATEGORY_ITEMS, ENDPOINTS, Endpoint
from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.shown_value import show_value

from .detail_tables.elements import DETAIL_TABLES, DetailTable

EXPORTED = {endpoint.name: endpoint for endpoint in BY_SHORT_NAME.values()}
"""Endpoints whose rows are products. Other pages of a journal (the category tree) have no rows."""

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


def row_key(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the columns that tell a row of a database table from all others.

    A detail has many elements, and no ID of an element can be relied on.
    """
    key = ("listing", "item_id")
    return (*key, "position") if isinstance(endpoint, DetailTable) else key


def refuse_detail_tables(endpoint: Endpoint, purpose: str) -> None:
    """Refuse the elements of details where rows of products are needed.

    Args:
        endpoint: The endpoint that was asked for.
        purpose: The option or command that needs products, for the message.

    Raises:
        ExportRefusedError: The endpoint is a table of elements.
    """
    if isinstance(endpoint, DetailTable):
        raise ExportRefusedError(
            f"{purpose} needs one row for each product, and {endpoint.short} has several"
        )


def choose_endpoint(available: Collection[str], requested: str | None, source: str) -> Endpoint:
    """Choose the endpoint whose rows are exported.

    Args:
        available: Names of the endpoints of the selected listings.
        requested: Short or full name of the endpoint that the caller asked for, or None.
        source: Place of the listings, for the message (`"run 1 of the journal"`).

    Returns:
        The requested endpoint. Without a request: the only paged endpoint among the available
        ones, or the only endpoint at all, or `category/items` if there is no listing.

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
    unknown = sorted(set(available) - ENDPOINTS.keys())
    if unknown:
        raise ExportRefusedError(
            f"{source} has listings of {', '.join(unknown)}, which this version of tmapi-async "
            "does not know: upgrade tmapi-async, or choose another endpoint (--endpoint)"
        )
    with_rows = [endpoint for name, endpoint in EXPORTED.items() if name in available]
    candidates = [endpoint for endpoint in with_rows if endpoint.paged] or with_rows
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ExportRefusedError(f"{source} has no products, only {', '.join(sorted(available))}")
    choices = ", ".join(f"{endpoint.short} ({endpoint.name})" for endpoint in candidates)
    raise ExportRefusedError(
        f"{source} has rows of several endpoints, and each endpoint has its own schema: choose "
        f"one with --endpoint: {choices}"
    )
