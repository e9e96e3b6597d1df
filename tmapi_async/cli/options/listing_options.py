"""Options that describe listings: endpoint, keys and filters."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from tmapi_async.api.endpoints import BY_SHORT_NAME, Endpoint
from tmapi_async.cli.completion.completed_values import complete_jobs, complete_words
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import show_value

from .id_lists import IdKind, read_ids
from .listing_sets import ListingGroup, Values

_LISTINGS = "What to fetch"
_FILTERS = "Filters and sort order (each endpoint supports some of them)"


def _filter_option(name: str, text: str, metavar: str | None = None) -> Any:
    words = _choices(name.removeprefix("--"))
    return typer.Option(
        name,
        help=text,
        metavar=metavar,
        rich_help_panel=_FILTERS,
        show_default=False,
        autocompletion=complete_words(*words) if words else None,
    )


def _choices(param_name: str) -> list[str]:
    """Return the values that a parameter can have at any endpoint, if there are only some."""
    params = [endpoint.param(param_name) for endpoint in BY_SHORT_NAME.values()]
    return list(dict.fromkeys(choice for param in params if param for choice in param.choices))


class ListingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the commands that read listings.

    Attributes:
        cats: Category IDs (product IDs for an endpoint of one product), or lists of them, as typed.
        endpoint: Short name of the endpoint.
        keyword: Keywords in place of categories.
        shop: Shops in place of categories.
        job: Job file, or None.
        max_pages: Maximum number of pages per listing, or None.
        fail_empty: End with exit code 3 if a listing has no item at all.
        sort: Sort order, and so on: the attributes from here on are filters (`FILTERS`).
    """

    cats: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CAT",
            help="Category IDs; product IDs for endpoints that begin with item-. Use - to read them"
            " from standard input, or @FILE to read them from a file, one per line.",
            show_default=False,
        ),
    ] = None
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            help=f"Kind of listing: {', '.join(BY_SHORT_NAME)}. category-v2 lists the same"
            " categories as category-v1, with sort order and price filters. Those that begin"
            " with item- ask about products by their IDs.",
            metavar="NAME",
            rich_help_panel=_LISTINGS,
            autocompletion=complete_words(*BY_SHORT_NAME),
        ),
    ] = "category-v1"
    keyword: Annotated[
        list[str] | None,
        typer.Option(
            "--keyword",
            metavar="TEXT",
            help="Search for this text (with --endpoint search or global-search). Can be repeated.",
            rich_help_panel=_LISTINGS,
        ),
    ] = None
    shop: Annotated[
        list[str] | None,
        typer.Option(
            "--shop",
            metavar="SHOP",
            help="Fetch this shop: a member ID for --endpoint shop, an address for shop-v2. Can be"
            " repeated.",
            rich_help_panel=_LISTINGS,
        ),
    ] = None
    job: Annotated[
        Path | None,
        typer.Option(
            "--job",
            metavar="FILE.toml",
            help="Read listings and options from a job file. Options on the command line and"
            " environment variables replace those of the file.",
            rich_help_panel=_LISTINGS,
            autocompletion=complete_jobs,
        ),
    ] = None
    max_pages: Annotated[
        int | None,
        typer.Option(
            "--max-pages",
            help="Maximum number of pages per listing (no limit by default).",
            rich_help_panel=_LISTINGS,
            metavar="N",
        ),
    ] = None
    fail_empty: Annotated[
        bool,
        typer.Option(
            "--fail-empty/--no-fail-empty",
            help="End with exit code 3 if a listing has no item at all, as that of a mistyped"
            " category. Without this option, a warning names it.",
            rich_help_panel=_LISTINGS,
        ),
    ] = False
    sort: Annotated[
        str | None,
        _filter_option(
            "--sort",
            "Sort order: default, sales, price_up, price_down. For shops also time_up, time_down."
            " For item-ratings: default, latest.",
            "NAME",
        ),
    ] = None
    price_start: Annotated[
        str | None, _filter_option("--price-start", "Lowest price, in yuan.", "YUAN")
    ] = None
    price_end: Annotated[
        str | None, _filter_option("--price-end", "Highest price, in yuan.", "YUAN")
    ] = None
    language: Annotated[
        str | None,
        _filter_option("--language", "Language of the titles: en, zh, ru, vi, ja, ko.", "NAME"),
    ] = None
    page_size: Annotated[
        int | None, _filter_option("--page-size", "Number of rows per page, at most 20.", "N")
    ] = None
    moq: Annotated[
        int | None,
        _filter_option("--moq", "Only items with a minimum order quantity of N or less.", "N"),
    ] = None
    shop_cat: Annotated[
        str | None,
        _filter_option(
            "--shop-cat", "Only this category of the shop (an ID that the shop uses).", "ID"
        ),
    ] = None
    cat_type: Annotated[
        str | None,
        _filter_option(
            "--cat-type", "Type of the ID in --shop-cat, as the API defines it: 0 or 1.", "N"
        ),
    ] = None
    province: Annotated[
        str | None,
        _filter_option("--province", "Province in China to ship to (item-shipping).", "NAME"),
    ] = None
    total_quantity: Annotated[
        int | None,
        _filter_option("--total-quantity", "Number of pieces to ship (item-shipping).", "N"),
    ] = None
    total_weight: Annotated[
        str | None,
        _filter_option("--total-weight", "Weight to ship, in kg (item-shipping).", "KG"),
    ] = None
    new_arrival: Annotated[bool, _filter_option("--new-arrival", "Only new items.")] = False
    super_factory: Annotated[
        bool,
        _filter_option(
            "--super-factory", "Only items of suppliers that 1688.com lists as super factories."
        ),
    ] = False
    support_dropshipping: Annotated[
        bool, _filter_option("--support-dropshipping", "Only items that support dropshipping.")
    ] = False
    free_shipping: Annotated[
        bool, _filter_option("--free-shipping", "Only items with free shipping.")
    ] = False

    def check(self) -> None:
        """Check the options that do not depend on the listings.

        Raises:
            InvalidRequestError: An option is invalid.
        """
        if self.max_pages is not None and self.max_pages < 1:
            raise InvalidRequestError(f"--max-pages must be at least 1, not {self.max_pages}")

    def group(self, stdin: BinaryIO) -> ListingGroup:
        """Return the listings that the options and arguments describe.

        Args:
            stdin: Standard input, for the argument `-`.

        Raises:
            InvalidRequestError: There are none, or they do not fit the endpoint.
        """
        endpoint = find_endpoint(self.endpoint)
        params = self.filter_params(endpoint)
        _check_keys(endpoint, keyword=self.keyword, shop=self.shop, cats=self.cats)
        keys: dict[str, Values] = {}
        repeated = 0
        id_param = "item_id" if endpoint.of_item else "cat_id"
        if self.cats or endpoint.required == (id_param,):
            id_list = read_ids(self.cats or (), stdin, _ID_KINDS[id_param])
            keys[id_param], repeated = id_list.ids, id_list.repeated
        for name, values in (("keyword", self.keyword), (_shop_key(endpoint), self.shop)):
            if values and name:
                keys[name] = list(dict.fromkeys(values))
                repeated += len(values) - len(keys[name])
        if not keys:
            choices = " or ".join(_HOW_TO_GIVE_KEY[name] for name in endpoint.required)
            raise InvalidRequestError(f"--endpoint {endpoint.short} needs {choices}")
        return ListingGroup(endpoint, params, keys, repeated)

    def filter_params(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the parameters that the filters are at an endpoint.

        Raises:
            InvalidRequestError: The endpoint has no such parameter.
        """
        params: dict[str, Any] = {}
        for option in FILTERS:
            value = getattr(self, option)
            if value not in (None, False):
                params[_param_name(endpoint, option)] = value
        return params


FILTERS = (
    "sort", "price_start", "price_end", "language", "page_size", "moq", "shop_cat", "cat_type",
    "province", "total_quantity", "total_weight",
    "new_arrival", "super_factory", "support_dropshipping", "free_shipping",
)  # fmt: skip
"""Options that are parameters of endpoints."""

_ID_KINDS: dict[str, IdKind] = {"cat_id": "category", "item_id": "product"}
_HOW_TO_GIVE_KEY = {
    "cat_id": "category IDs",
    "item_id": "product IDs",
    "keyword": "--keyword TEXT",
    "member_id": "--shop MEMBER_ID",
    "shop_url": "--shop ADDRESS",
}
_OPTION_PARAMS = {"super_factory": "is_super_factory", "sort": "sort_type"}
_SHOP_CATEGORY_PARAMS = {"shop": "shop_cat_id", "shop-v2": "cat"}


def find_endpoint(name: str) -> Endpoint:
    """Return the endpoint with a name of the command line.

    Raises:
        InvalidRequestError: There is none; the message suggests a similar name.
    """
    endpoint = BY_SHORT_NAME.get(name)
    if endpoint is None:
        similar = difflib.get_close_matches(name, BY_SHORT_NAME, 1)
        hint = f" (did you mean {similar[0]}?)" if similar else ""
        raise InvalidRequestError(
            f"there is no endpoint {show_value(name)}{hint}: use one of {', '.join(BY_SHORT_NAME)}"
        )
    return endpoint


def option_name(field: str) -> str:
    """Return an option or argument as it is typed, such as `--max-pages`."""
    return "CAT" if field == "cats" else f"--{field.replace('_', '-')}"


def _param_name(endpoint: Endpoint, option: str) -> str:
    """Return the endpoint's own name for a filter option."""
    for name in _param_names(endpoint, option):
        if endpoint.param(name):
            return name
    supporting = [
        other.short
        for other in BY_SHORT_NAME.values()
        if any(map(other.param, _param_names(other, option)))
    ]
    raise InvalidRequestError(
        f"{endpoint.short} ignores {option_name(option)}. Use --endpoint {', '.join(supporting)}"
    )


def _param_names(endpoint: Endpoint, option: str) -> list[str]:
    """Return the parameter names that a filter option can have at an endpoint."""
    if option == "shop_cat":
        return [_SHOP_CATEGORY_PARAMS.get(endpoint.short, "")]
    return [option, _OPTION_PARAMS.get(option, "")]


def _shop_key(endpoint: Endpoint) -> str:
    return next((name for name in endpoint.required if name in ("member_id", "shop_url")), "")


def _check_keys(endpoint: Endpoint, **typed: list[str] | None) -> None:
    """Refuse keys that the endpoint does not take."""
    key_params = {
        "keyword": {"keyword"},
        "shop": {"member_id", "shop_url"},
        "cats": {"cat_id", "item_id"},
    }
    labels = {"keyword": "--keyword does", "shop": "--shop does", "cats": "IDs do"}
    known = {param.name for param in endpoint.params}
    for option, values in typed.items():
        if values and not known & key_params[option]:
            supporting = [
                other.short
                for other in BY_SHORT_NAME.values()
                if any(map(other.param, key_params[option]))
            ]
            raise InvalidRequestError(
                f"{labels[option]} not work with --endpoint {endpoint.short}: "
                f"use --endpoint {', '.join(supporting)}"
            )
