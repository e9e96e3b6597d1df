"""What a command asks for: its options and arguments, and the listings they describe."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeAlias

import msgspec
import typer

from tmapi_async.api.endpoints import BY_SHORT_NAME, Endpoint
from tmapi_async.api.listings import Listing, make_listing, read_params
from tmapi_async.errors import InvalidRequestError

from .id_lists import read_ids

_WHAT = "What is asked"
_FILTERS = "Filters and order (each endpoint has some of them)"

Values: TypeAlias = "list[int] | list[str]"


def _option(name: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(
        name, help=text, metavar=metavar, rich_help_panel=_FILTERS, show_default=False
    )


class ListingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: options of the commands that walk listings."""

    cats: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CAT]...",
            help="Category IDs; - reads them from standard input, @FILE from a file, one a line.",
            show_default=False,
        ),
    ] = None
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            help=f"What is walked: {', '.join(BY_SHORT_NAME)}.",
            metavar="NAME",
            rich_help_panel=_WHAT,
        ),
    ] = "category-v1"
    keyword: Annotated[
        list[str] | None,
        typer.Option(
            "--keyword",
            metavar="TEXT",
            help="In place of categories, for search and global-search; may be repeated.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    shop: Annotated[
        list[str] | None,
        typer.Option(
            "--shop",
            metavar="SHOP",
            help="In place of categories: a member ID for shop, an address for shop-v2; may be "
            "repeated.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    job: Annotated[
        Path | None,
        typer.Option(
            "--job",
            metavar="FILE.toml",
            help="Read all of this from a job file; other options win over what it says.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    max_pages: Annotated[
        int | None,
        typer.Option(
            "--max-pages", help="Most pages of each listing.", rich_help_panel=_WHAT, metavar="N"
        ),
    ] = None
    sort: Annotated[
        str | None,
        _option(
            "--sort",
            "Order: default, sales, price_up, price_down; shops: time_up, time_down.",
            "NAME",
        ),
    ] = None
    price_start: Annotated[str | None, _option("--price-start", "Lowest price.", "YUAN")] = None
    price_end: Annotated[str | None, _option("--price-end", "Highest price.", "YUAN")] = None
    language: Annotated[
        str | None, _option("--language", "Language of titles: en, zh, ru, vi, ja, ko.", "NAME")
    ] = None
    page_size: Annotated[int | None, _option("--page-size", "Rows of a page.", "N")] = None
    moq: Annotated[int | None, _option("--moq", "Largest smallest order.", "N")] = None
    shop_cat: Annotated[
        str | None, _option("--shop-cat", "Only this category of the shop's own.", "ID")
    ] = None
    cat_type: Annotated[
        str | None, _option("--cat-type", "Kind of the shop's category: 0 or 1.", "N")
    ] = None
    new_arrival: Annotated[bool, _option("--new-arrival", "Only new items.")] = False
    super_factory: Annotated[bool, _option("--super-factory", "Only super factories.")] = False
    support_dropshipping: Annotated[
        bool, _option("--support-dropshipping", "Only items that can be drop-shipped.")
    ] = False
    free_shipping: Annotated[bool, _option("--free-shipping", "Only items shipped free.")] = False

    def check(self) -> None:
        """Refuse what makes no sense whatever the listings are."""
        if self.max_pages is not None and self.max_pages < 1:
            raise InvalidRequestError(f"--max-pages must be at least 1, not {self.max_pages}")

    def group(self, stdin: BinaryIO) -> ListingGroup:
        """The listings that the options and arguments describe.

        Raises:
            InvalidRequestError: They describe none, or do not fit the endpoint.
        """
        endpoint = find_endpoint(self.endpoint)
        given: dict[str, Any] = {}
        for name in FILTERS:
            value = getattr(self, name)
            if value not in (None, False):
                given[_called(endpoint, name)] = value
        takes = {one.name for one in endpoint.params}
        _refuse_others(endpoint, takes, keyword=self.keyword, shop=self.shop, cats=self.cats)
        keys: dict[str, Values] = {}
        if self.cats or endpoint.required == ("cat_id",):
            read = read_ids(self.cats or (), stdin)
            keys["cat_id"], repeated = read.ids, read.repeated
        else:
            repeated = 0
        for name, values in (("keyword", self.keyword), (_shop_key(endpoint), self.shop)):
            if values and name:
                keys[name] = list(dict.fromkeys(values))
                repeated += len(values) - len(keys[name])
        if not keys:
            words = " or ".join(_TYPED_AS[name] for name in endpoint.required)
            raise InvalidRequestError(f"--endpoint {endpoint.short} needs {words}")
        return ListingGroup(endpoint, given, keys, repeated)


FILTERS = (
    "sort", "price_start", "price_end", "language", "page_size", "moq", "shop_cat", "cat_type",
    "new_arrival", "super_factory", "support_dropshipping", "free_shipping",
)  # fmt: skip
"""The options that are parameters of endpoints."""

_TYPED_AS = {
    "cat_id": "category IDs",
    "keyword": "--keyword TEXT",
    "member_id": "--shop MEMBER_ID",
    "shop_url": "--shop ADDRESS",
}
_OTHER_NAMES = {"super_factory": "is_super_factory"}
_SHOP_CATS = {"shop": "shop_cat_id", "shop-v2": "cat"}


def find_endpoint(name: str) -> Endpoint:
    """The endpoint of a name as the command line knows it.

    Raises:
        InvalidRequestError: There is none; a similar one is suggested.
    """
    found = BY_SHORT_NAME.get(name)
    if found is None:
        near = difflib.get_close_matches(name, BY_SHORT_NAME, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidRequestError(
            f"there is no endpoint {name!r}: it is one of {', '.join(BY_SHORT_NAME)}{hint}"
        )
    return found


def _called(endpoint: Endpoint, option: str) -> str:
    """What an option is called by an endpoint."""
    names = [option, _OTHER_NAMES.get(option, ""), _SHOP_CATS.get(endpoint.short, "")]
    if option != "shop_cat":
        names.pop()
    for name in names:
        if endpoint.param(name):
            return name
    dashed = f"--{option.replace('_', '-')}"
    there = [one.short for one in BY_SHORT_NAME.values() if _has(one, option)]
    raise InvalidRequestError(
        f"{dashed} is not for {endpoint.short}, which would ignore it; "
        f"it is for --endpoint {', '.join(there)}"
    )


def _has(endpoint: Endpoint, option: str) -> bool:
    name = _SHOP_CATS.get(endpoint.short, "") if option == "shop_cat" else option
    return any(endpoint.param(one) for one in (name, _OTHER_NAMES.get(option, "")))


def _shop_key(endpoint: Endpoint) -> str:
    return next((name for name in endpoint.required if name in ("member_id", "shop_url")), "")


def _refuse_others(endpoint: Endpoint, takes: set[str], **given: list[str] | None) -> None:
    keys = {"keyword": {"keyword"}, "shop": {"member_id", "shop_url"}, "cats": {"cat_id"}}
    words = {"keyword": "--keyword", "shop": "--shop", "cats": "category IDs"}
    for name, values in given.items():
        if values and not takes & keys[name]:
            there = [e.short for e in BY_SHORT_NAME.values() if any(map(e.param, keys[name]))]
            raise InvalidRequestError(
                f"{words[name]} cannot be asked of {endpoint.short}: "
                f"that goes with --endpoint {', '.join(there)}"
            )


class ListingGroup:
    """Listings that differ in their keys alone, made as they are asked for.

    Args:
        endpoint: What is asked.
        params: Parameters that all of them have.
        keys: Parameter to its values; each combination is a listing.
        repeated: How many values were left out, since they were given before.

    Raises:
        InvalidRequestError: A value does not fit, or a needed one is missing.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        keys: Mapping[str, Values],
        repeated: int = 0,
    ) -> None:
        self.repeated = repeated
        self._endpoint = endpoint
        self._fixed = read_params(endpoint, params)
        self._keys = keys
        for name, values in keys.items():
            for value in values if name != "cat_id" else ():  # IDs were read by `read_ids`
                read_params(endpoint, {name: value})
        if not keys:
            make_listing(endpoint, self._fixed)  # says what is missing
        next(iter(self))  # whatever they have in common is wrong for all of them

    def __len__(self) -> int:
        count = 1
        for values in self._keys.values():
            count *= len(values)
        return count

    def __iter__(self) -> Iterator[Listing]:
        found: list[dict[str, Any]] = [{}]
        *outer, (last, values) = self._keys.items()
        for name, some in outer:
            found = [{**one, name: value} for one in found for value in some]
        for one in found:
            fixed = {**self._fixed, **read_params(self._endpoint, one)}
            for value in values:
                text = read_params(self._endpoint, {last: value})
                yield make_listing(self._endpoint, {**fixed, **text})


class ListingSet:
    """Every listing that a command asks for, each once; made anew each time it is walked through.

    Args:
        groups: The groups.

    Attributes:
        repeated: How many were left out, since they were given before.
    """

    def __init__(self, groups: Iterable[ListingGroup]) -> None:
        self._groups = list(groups)
        self.repeated = sum(group.repeated for group in self._groups)
        self._count = sum(map(len, self._groups))
        if len(self._groups) > 1:
            distinct = sum(1 for _ in self)
            self.repeated += self._count - distinct
            self._count = distinct

    def __len__(self) -> int:
        return self._count

    def samples(self) -> list[Listing]:
        """A listing of each group: the others have the same endpoint and filters."""
        return [listing for group in self._groups for listing in islice(group, 1)]

    def __iter__(self) -> Iterator[Listing]:
        if len(self._groups) == 1:
            yield from self._groups[0]
            return
        seen: set[Listing] = set()
        for group in self._groups:
            for listing in group:
                if listing not in seen:
                    seen.add(listing)
                    yield listing
